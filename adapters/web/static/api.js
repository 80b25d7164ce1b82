/** Speaks with the server: JSON requests, and the stream of one conversation. */

import { currentLanguage } from "./texts.js";

const STALE_MS = 45_000;
const MAX_BACKOFF_MS = 15_000;

let actingAs = null;

export function actAs(id) {
  actingAs = id;
}

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Throws `ApiError` with a text for people; code `offline` when the server cannot be reached. */
export async function get(path) {
  return request(path, {});
}

export async function post(path, body) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function request(path, options) {
  const headers = { "Accept-Language": currentLanguage(), ...options.headers };
  let response;
  try {
    response = await fetch(address(path), { ...options, headers, signal: AbortSignal.timeout(30_000) });
  } catch {
    throw new ApiError("offline", "");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(body?.error?.code ?? "failed", body?.error?.message ?? "");
  return body;
}

function address(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  if (actingAs) query.set("as", actingAs);
  return query.size ? `${path}?${query}` : path;
}

/** Follows a conversation until closed, reconnecting by itself; whatever was missed arrives again. */
export class Stream {
  constructor(conversation, { onSnapshot, onMessage, onGone, onState }) {
    this.url = address("api/events", { conversation });
    this.handlers = { snapshot: (d) => onSnapshot(d.messages), message: onMessage, ping: () => {} };
    this.onGone = onGone;
    this.onState = onState;
    this.failures = 0;
    this.open();
  }

  open() {
    this.source = new EventSource(this.url);
    this.heard();
    this.source.onopen = () => this.connected();
    this.source.onerror = () => {
      this.onState(false);
      // After a plain cut the browser reconnects; after an error response it gives up, so we do it.
      if (this.source.readyState === EventSource.CLOSED) this.reopen();
    };
    for (const [name, handle] of Object.entries(this.handlers)) {
      this.source.addEventListener(name, (event) => {
        this.connected();
        handle(JSON.parse(event.data));
      });
    }
    this.source.addEventListener("gone", () => {
      this.close();
      this.onGone();
    });
  }

  connected() {
    this.failures = 0;
    this.heard();
    this.onState(true);
  }

  /** A laptop that slept holds a connection that looks alive and is not. */
  heard() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.onState(false);
      this.reopen();
    }, STALE_MS);
  }

  reopen() {
    this.source.close();
    clearTimeout(this.watchdog);
    clearTimeout(this.timer);
    const wait = Math.min(1000 * 2 ** this.failures, MAX_BACKOFF_MS);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), wait);
  }

  close() {
    this.source.close();
    clearTimeout(this.watchdog);
    clearTimeout(this.timer);
  }
}
