/**
 * Markdown to DOM nodes. Text only ever becomes text nodes, so nothing in a document or an answer can turn into
 * markup, a link, an image or a request. Addresses are shown as the text they are.
 */

const MAX_DEPTH = 6;
// Characters that reorder or hide what a person reads.
const DECEPTIVE = /[\u202a-\u202e\u2066-\u2069\u200b\u2060\u00ad\u{e0000}-\u{e007f}]/gu;

/**
 * @param {string} source
 * @param {(number: number) => Node | null} cite makes the chip for a marker such as `[1]`; null leaves it as text
 */
export function renderMarkdown(source, cite = () => null) {
  const fragment = document.createDocumentFragment();
  const lines = source.replace(DECEPTIVE, "").replace(/\r\n?/g, "\n").split("\n");
  blocks(lines, fragment, cite, 0);
  return fragment;
}

function blocks(lines, parent, cite, depth) {
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    if (!line.trim()) {
      i += 1;
      continue;
    }
    const next =
      fence(lines, i, parent) ??
      heading(lines, i, parent, cite) ??
      rule(lines, i, parent) ??
      table(lines, i, parent, cite) ??
      (depth < MAX_DEPTH
        ? (quote(lines, i, parent, cite, depth) ?? list(lines, i, parent, cite, depth))
        : null) ??
      paragraph(lines, i, parent, cite);
    i = next;
  }
}

function fence(lines, i, parent) {
  const open = /^ {0,3}(```+|~~~+)/.exec(lines[i]);
  if (!open) return null;
  const body = [];
  let end = i + 1;
  while (end < lines.length && !lines[end].trim().startsWith(open[1])) {
    body.push(lines[end]);
    end += 1;
  }
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  const code = document.createElement("code");
  code.textContent = body.join("\n");
  pre.append(code);
  parent.append(pre);
  return end + 1;
}

function heading(lines, i, parent, cite) {
  const match = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(lines[i]);
  if (!match) return null;
  // The page has its own h1 to h3.
  const element = document.createElement(`h${Math.min(match[1].length + 3, 6)}`);
  inline(match[2], element, cite);
  parent.append(element);
  return i + 1;
}

function rule(lines, i, parent) {
  if (!/^ {0,3}([-*_])(?:\s*\1){2,}\s*$/.test(lines[i])) return null;
  parent.append(document.createElement("hr"));
  return i + 1;
}

function quote(lines, i, parent, cite, depth) {
  if (!/^ {0,3}>/.test(lines[i])) return null;
  const inner = [];
  while (i < lines.length && /^ {0,3}>/.test(lines[i])) {
    inner.push(lines[i].replace(/^ {0,3}> ?/, ""));
    i += 1;
  }
  const element = document.createElement("blockquote");
  blocks(inner, element, cite, depth + 1);
  parent.append(element);
  return i;
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

function list(lines, i, parent, cite, depth) {
  const first = ITEM.exec(lines[i]);
  if (!first) return null;
  const isOrdered = /\d/.test(first[2]);
  const element = document.createElement(isOrdered ? "ol" : "ul");
  if (isOrdered) element.start = parseInt(first[2], 10);
  const indent = first[1].length;
  while (i < lines.length) {
    const item = ITEM.exec(lines[i]);
    if (!item || item[1].length > indent + 1 || /\d/.test(item[2]) !== isOrdered) break;
    if (item[1].length < indent) break;
    const content = [item[3]];
    i += 1;
    // What is indented, or simply goes on without a blank line, belongs to the item.
    while (i < lines.length) {
      const isBlank = !lines[i].trim();
      const width = lines[i].length - lines[i].trimStart().length;
      if (isBlank) {
        const after = lines[i + 1] ?? "";
        const afterWidth = after.length - after.trimStart().length;
        if (!after.trim() || afterWidth <= indent) break;
      } else if (width <= indent && (ITEM.test(lines[i]) || startsBlock(lines, i))) {
        break;
      }
      content.push(lines[i].slice(Math.min(width, indent + 2)));
      i += 1;
    }
    const li = document.createElement("li");
    const isSimple = !content.slice(1).some((l) => !l.trim() || ITEM.test(l) || /^\s*(```|~~~|>|\|)/.test(l));
    if (isSimple) inline(content.map((l) => l.trim()).join(" "), li, cite);
    else blocks(content, li, cite, depth + 1);
    element.append(li);
    let skip = i;
    while (skip < lines.length && !lines[skip].trim()) skip += 1;
    const following = skip < lines.length ? ITEM.exec(lines[skip]) : null;
    if (following && following[1].length === indent && /\d/.test(following[2]) === isOrdered) i = skip;
  }
  parent.append(element);
  return i;
}

function table(lines, i, parent, cite) {
  const isDivider = (line) => /^[\s|:-]+$/.test(line) && line.includes("-") && line.includes("|");
  if (!lines[i].includes("|") || i + 1 >= lines.length || !isDivider(lines[i + 1])) return null;
  const element = document.createElement("table");
  const head = element.createTHead().insertRow();
  for (const cell of cells(lines[i])) {
    const th = document.createElement("th");
    th.scope = "col";
    inline(cell, th, cite);
    head.append(th);
  }
  const body = element.createTBody();
  let end = i + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) {
    const row = body.insertRow();
    for (const cell of cells(lines[end])) inline(cell, row.insertCell(), cite);
    end += 1;
  }
  const box = document.createElement("div");
  box.className = "table";
  box.tabIndex = 0;
  box.append(element);
  parent.append(box);
  return end;
}

function cells(line) {
  const trimmed = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return trimmed.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function startsBlock(lines, i) {
  return /^ {0,3}(#{1,6}\s|>|```|~~~|([-*_])(?:\s*\2){2,}\s*$)/.test(lines[i]);
}

function paragraph(lines, i, parent, cite) {
  const text = [lines[i].trim()];
  const isHard = [/ {2,}$|\\$/.test(lines[i])];
  i += 1;
  while (i < lines.length && lines[i].trim() && !startsBlock(lines, i) && !ITEM.test(lines[i])) {
    text.push(lines[i].trim());
    isHard.push(/ {2,}$|\\$/.test(lines[i]));
    i += 1;
  }
  const element = document.createElement("p");
  let run = "";
  text.forEach((part, n) => {
    run += part.replace(/\\$/, "");
    if (n === text.length - 1) return;
    if (isHard[n]) {
      inline(run, element, cite);
      element.append(document.createElement("br"));
      run = "";
    } else {
      // Chinese is written without spaces, also where a line of the source ends.
      run += isWide(part.at(-1)) && isWide(text[n + 1][0]) ? "" : " ";
    }
  });
  inline(run, element, cite);
  parent.append(element);
  return i;
}

function isWide(character) {
  return /[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]/.test(character ?? "");
}

const MARK = /(\*\*|__|\*|_|`+|~~|!?\[|\\)/g;

function inline(text, parent, cite, depth = 0) {
  let plain = "";
  const flush = () => {
    if (plain) parent.append(plain);
    plain = "";
  };
  const nest = (tag, content) => {
    flush();
    const element = document.createElement(tag);
    if (tag === "code") element.textContent = content;
    else inline(content, element, cite, depth + 1);
    parent.append(element);
  };
  const writer = {
    write: (words) => (plain += words),
    // A citation never begins a line: it is kept together with the end of the word before it.
    append: (chip) => {
      const last = parent.lastChild;
      if (!plain.trim() && last?.className === "keep") {
        plain = "";
        last.append(chip);
        return;
      }
      plain = plain.trimEnd();
      const tail = /[^\s\u2e80-\uffef]{1,16}$|\S{1,2}$/u.exec(plain)?.[0] ?? "";
      plain = plain.slice(0, plain.length - tail.length);
      flush();
      const keep = document.createElement("span");
      keep.className = "keep";
      keep.append(tail, chip);
      parent.append(keep);
    },
  };
  let i = 0;
  while (i < text.length) {
    MARK.lastIndex = i;
    const match = MARK.exec(text);
    if (!match || depth > MAX_DEPTH) {
      plain += text.slice(i);
      break;
    }
    plain += text.slice(i, match.index);
    const mark = match[0];
    const start = match.index + mark.length;
    i = start;
    if (mark === "\\") {
      const next = text[start] ?? "";
      if (/[\\`*_{}[\]()#+.!|~>-]/.test(next)) {
        plain += next;
        i = start + 1;
      } else plain += mark;
    } else if (mark.startsWith("`")) {
      const end = text.indexOf(mark, start);
      if (end < 0) plain += mark;
      else {
        nest("code", text.slice(start, end).trim());
        i = end + mark.length;
      }
    } else if (mark.endsWith("[")) {
      i = bracket(text, match.index, mark, writer, cite);
    } else {
      const end = closing(text, start, mark, match.index);
      if (end < 0) plain += mark;
      else {
        nest(mark === "~~" ? "del" : mark.length === 2 ? "strong" : "em", text.slice(start, end));
        i = end + mark.length;
      }
    }
  }
  flush();
}

/** Where emphasis ends, or -1: `snake_case` and `a * b` are none. */
function closing(text, start, mark, at) {
  if (!text[start] || /\s/.test(text[start])) return -1;
  const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);
  if (mark[0] === "_" && isWord(text[at - 1])) return -1;
  let end = text.indexOf(mark, start + 1);
  while (end >= 0) {
    const isLonger = mark.length === 1 && (text[end + 1] === mark || text[end - 1] === mark);
    const isInWord = mark[0] === "_" && isWord(text[end + mark.length]);
    if (!isLonger && !isInWord && !/\s/.test(text[end - 1])) return end;
    end = text.indexOf(mark, end + mark.length);
  }
  return -1;
}

/** A citation marker becomes its chip; a link or image becomes its words, and its address as plain text. */
function bracket(text, at, mark, { write, append }, cite) {
  const start = at + mark.length;
  const end = text.indexOf("]", start);
  if (end < 0) {
    write(mark);
    return start;
  }
  const label = text.slice(start, end);
  const hasTarget = text[end + 1] === "(";
  if (mark === "[" && /^\d{1,3}$/.test(label) && !hasTarget) {
    const chip = cite(Number(label));
    if (chip) {
      append(chip);
      return end + 1;
    }
  }
  const close = hasTarget ? text.indexOf(")", end + 2) : -1;
  if (close < 0) {
    write(mark);
    return start;
  }
  const target = text.slice(end + 2, close).trim().split(/\s/)[0];
  write(/^[a-z][a-z0-9+.-]*:/i.test(target) && target !== label ? `${label} (${target})` : label);
  return close + 1;
}
