/** Small helpers: elements, icons, avatars, times. */

import { currentLanguage } from "./texts.js";

/** An element with properties (`class`, `on…`, `aria-…`, `data-…`) and children; strings become text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z",
  hash: "M9 4L7 20M17 4l-2 16M4 9h16M4 15h16",
  chat: "M4 5h16v11H9l-5 4z",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  up: "M7 11v9H4v-9zM7 11l4-8c2 0 3 1 3 3v4h5c1.300 0 2.200 1.200 1.900 2.400l-1.500 6c-.200 1-1 1.600-2 1.600H7",
  down: "M17 13V4h3v9zM17 13l-4 8c-2 0-3-1-3-3v-4H5c-1.300 0-2.200-1.200-1.900-2.400l1.500-6C4.800 4.600 5.600 4 6.600 4H17",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.500l4.500 4.500L19 7.500",
  help: "M9 9.500a3 3 0 1 1 4.500 2.600c-1 .600-1.500 1.200-1.500 2.400M12 18v.010",
  empty: "M11 5a6 6 0 1 1 0 12 6 6 0 0 1 0-12zM15.500 15.500L20 20",
  sun: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M18.400 5.600L17 7M7 17l-1.400 1.400",
  moon: "M20 14.500A8 8 0 0 1 9.500 4 8 8 0 1 0 20 14.500z",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9.500a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5z",
  chevron: "M7 10l5 5 5-5",
  info: "M12 3.500a8.500 8.500 0 1 1 0 17 8.500 8.500 0 0 1 0-17zM12 11v5.500M12 7.800v.010",
  warn: "M12 4l9 16H3zM12 10v4.500M12 17v.010",
  reply: "M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6v1",
  out: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  again: "M4 11a8 8 0 1 1 2 6M4 18v-5h5",
  quote: "M5 17c3-1 4-3 4-6V7H4v5h3M14 17c3-1 4-3 4-6V7h-5v5h3",
};

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, properties = {}) {
  return el("button", { type: "button", title: label, "aria-label": label, onclick, ...properties, class: `icon-button ${properties.class ?? ""}` }, icon(name));
}

export function avatar(person, size = "") {
  let hue = 0;
  for (const character of person.id) hue = (hue * 31 + character.codePointAt(0)) % 8;
  const isGuest = person.kind && person.kind !== "employee";
  return el(
    "span",
    { class: `avatar hue-${hue} ${size} ${isGuest ? "outside" : ""}`, "aria-hidden": "true", title: person.name },
    size === "tiny" ? initials(person.name || person.id)[0] : initials(person.name || person.id),
  );
}

export function botAvatar(size = "") {
  return el("img", { class: `avatar bot ${size}`, src: "static/icon.svg", alt: "" });
}

/** One of the two where the directory has both: names ("吳佳蓉 Carol Wu") and titles ("人資經理 · HR manager"). */
export function oneLanguage(words) {
  const both = /^([\u2e80-\u9fff\uff00-\uffef]+)(?: · | )(.+)$/.exec(words);
  if (!both) return words;
  return currentLanguage() === "en" ? both[2] : both[1];
}

function initials(name) {
  const wide = /^[\u2e80-\u9fff]+/.exec(name);
  // A Chinese given name says more than the family name that half of the company shares.
  if (wide) return wide[0].length > 2 ? wide[0].slice(-2) : wide[0].slice(-1);
  const words = name.split(/[\s._-]+/).filter(Boolean);
  return ((words[0]?.[0] ?? "?") + (words.length > 1 ? words.at(-1)[0] : "")).toUpperCase();
}

export function avatarStack(people, total) {
  const shown = people.slice(0, 4);
  const more = total - shown.length;
  return el(
    "span",
    { class: "stack", "aria-hidden": "true" },
    shown.map((person) => avatar(person, "tiny")),
    more > 0 ? el("span", { class: "avatar tiny more" }, `+${more}`) : null,
  );
}

export function clockTime(iso) {
  const at = new Date(iso);
  const isToday = at.toDateString() === new Date().toDateString();
  const style = isToday ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
  return el("time", { dateTime: iso, title: absoluteTime(iso) }, new Intl.DateTimeFormat(currentLanguage(), style).format(at));
}

export function absoluteTime(iso, style = { dateStyle: "long", timeStyle: "short" }) {
  return new Intl.DateTimeFormat(currentLanguage(), style).format(new Date(iso));
}

/** A calendar day; documents are dated by day, and midnight UTC is no hour that anybody means. */
export function day(iso) {
  return new Intl.DateTimeFormat(currentLanguage(), { dateStyle: "long", timeZone: "UTC" }).format(new Date(iso));
}

const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export function relativeTime(iso) {
  const seconds = (new Date(iso).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(currentLanguage(), { numeric: "auto" });
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return format.format(0, "minute");
}
