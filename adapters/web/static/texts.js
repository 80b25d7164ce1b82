/** What the page says, in both languages. */

const TEXTS = {
  en: {
    skip: "Skip to the question",
    tagline: "Answers from your documents",
    acting_as: "You are acting as",
    switch_person: "Act as somebody else",
    people: "People",
    contractor: "Contractor",
    guest: "Guest",
    directs: "Just you",
    private: "Private channels",
    public: "Public channels",
    direct_name: "You and Shifu",
    new_conversation: "New conversation",
    readers_one: "Only you read this",
    readers: "{n} people read this",
    readers_title: "Who reads this",
    readers_more: "and {n} more",
    scope_direct: "Only you read this. Answers use everything you may read.",
    scope_room: "Answers here use only what all {n} readers may read.",
    open_menu: "Open the menu",
    close: "Close",
    theme: "Light or dark",
    language: "切換為中文",
    language_short: "中文",
    hello: "Hello, {name}.",
    hello_sub: "What would you like to know?",
    hello_note: "Every answer shows the passages it rests on, and uses only what everyone who reads this conversation may read.",
    ask: "Ask a question",
    ask_follow: "Ask a follow-up",
    ask_in: "Ask in #{name}",
    send: "Send",
    stop: "Stop",
    hint: "Enter sends, Shift+Enter starts a new line",
    count: "{n} of {limit} characters",
    too_long: "{n} characters too many",
    following: "Following up",
    new_topic: "Ask something new instead",
    again: "Ask this again as {name}",
    dismiss: "Dismiss",
    working: "Working on it",
    band_answered: "Answered from documents",
    band_unsure: "Not sure",
    band_nothing: "Nothing found",
    extract: "Extract",
    extract_note: "The documents' own sentences, word for word",
    only_you: "Only you can see this",
    sources: "Sources",
    further: "Further reading",
    closest: "Closest passages",
    source_n: "Source {n}: {title}",
    superseded: "Superseded",
    superseded_note: "A newer version of this document exists. Check it before you rely on this passage.",
    helpful: "Helpful",
    unhelpful: "Not helpful",
    copy: "Copy",
    copied: "Copied",
    thanks: "Thank you, noted.",
    what_wrong: "What was wrong or missing? (optional)",
    send_comment: "Send",
    follow_up: "Follow up",
    withdrawn: "This answer is no longer shown: a passage it rests on has changed, or you may no longer read it. Ask again for an up-to-date answer.",
    unchecked: "This answer cannot be shown at the moment, because your access could not be checked.",
    panel: "Source",
    owner: "Owner",
    modified: "Modified",
    since: "{at} ({ago})",
    version: "Version",
    review: "Review due",
    document: "Document",
    open_source: "Open the original",
    loading: "Loading",
    passage: "Passage",
    reconnecting: "Connection lost. Trying to reconnect…",
    offline_send: "Your question was not sent. Please check the connection and try again.",
    failed: "Something went wrong. Please try again.",
    gone: "You are no longer a member of this conversation.",
    unreachable: "The server cannot be reached.",
    retry: "Try again",
    jump: "Latest",
    answer_ready: "Answer from Shifu: {text}",
    table: "Table",
  },
  "zh-TW": {
    skip: "跳到提問欄",
    tagline: "依據公司文件回答",
    acting_as: "目前身分",
    switch_person: "切換身分",
    people: "人員",
    contractor: "外包人員",
    guest: "訪客",
    directs: "個人對話",
    private: "私人頻道",
    public: "公開頻道",
    direct_name: "你與 Shifu",
    new_conversation: "新對話",
    readers_one: "只有你看得到",
    readers: "{n} 人看得到",
    readers_title: "誰看得到這個對話",
    readers_more: "以及其他 {n} 人",
    scope_direct: "只有你看得到。回答會使用你有權閱讀的所有文件。",
    scope_room: "這裡的回答只使用這 {n} 人都有權閱讀的內容。",
    open_menu: "開啟選單",
    close: "關閉",
    theme: "切換深淺色",
    language: "Switch to English",
    language_short: "EN",
    hello: "{name}，你好。",
    hello_sub: "想知道什麼呢？",
    hello_note: "每個回答都會附上依據的段落，而且只使用這個對話中每個人都有權閱讀的內容。",
    ask: "輸入問題",
    ask_follow: "繼續追問",
    ask_in: "在 #{name} 提問",
    send: "送出",
    stop: "停止",
    hint: "Enter 送出，Shift+Enter 換行",
    count: "{n}／{limit} 個字元",
    too_long: "超出 {n} 個字元",
    following: "追問",
    new_topic: "改問其他問題",
    again: "以 {name} 的身分再問一次",
    dismiss: "不用了",
    working: "處理中",
    band_answered: "依據文件回答",
    band_unsure: "不太確定",
    band_nothing: "找不到資料",
    extract: "原文摘錄",
    extract_note: "文件中的原句，一字未改",
    only_you: "只有你看得到",
    sources: "來源",
    further: "延伸閱讀",
    closest: "最接近的段落",
    source_n: "來源 {n}：{title}",
    superseded: "已有新版",
    superseded_note: "這份文件已有較新的版本，採用前請先確認。",
    helpful: "有幫助",
    unhelpful: "沒有幫助",
    copy: "複製",
    copied: "已複製",
    thanks: "謝謝，已記錄。",
    what_wrong: "哪裡有誤或缺少什麼？（選填）",
    send_comment: "送出",
    follow_up: "追問",
    withdrawn: "這則回答已不再顯示：它所依據的段落已變更，或你已無權閱讀。請再問一次以取得最新回答。",
    unchecked: "目前無法確認你的權限，因此暫時不顯示這則回答。",
    panel: "來源",
    owner: "負責人",
    modified: "更新日期",
    since: "{at}（{ago}）",
    version: "版本",
    review: "下次審閱",
    document: "文件",
    open_source: "開啟原始文件",
    loading: "載入中",
    passage: "段落",
    reconnecting: "連線中斷，正在重新連線…",
    offline_send: "問題沒有送出，請檢查連線後再試一次。",
    failed: "發生錯誤，請再試一次。",
    gone: "你已不是這個對話的成員。",
    unreachable: "無法連上伺服器。",
    retry: "再試一次",
    jump: "最新訊息",
    answer_ready: "Shifu 的回答：{text}",
    table: "表格",
  },
};

let language = initial();

function initial() {
  const stored = read("shifu.language");
  if (stored in TEXTS) return stored;
  return (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh-TW" : "en";
}

export function currentLanguage() {
  return language;
}

export function toggleLanguage() {
  language = language === "en" ? "zh-TW" : "en";
  write("shifu.language", language);
}

/** The text called `key`; `{name}` stands for `values.name`, numbers are grouped. */
export function t(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? value.toLocaleString(language) : String(value);
  });
}

/** Storage may be missing or full (an embedded page, private browsing): then nothing is remembered. */
export function read(key, storage = "localStorage") {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

export function write(key, value, storage = "localStorage") {
  try {
    window[storage].setItem(key, value);
  } catch {
    /* Not remembered. */
  }
}
