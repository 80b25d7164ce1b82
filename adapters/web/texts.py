"""What the web server itself says, in both languages; the page's words are in `static/texts.js`."""

from retrieval.types import Language

_EN, _ZH = Language.ENGLISH, Language.CHINESE

_TEXTS: dict[str, dict[Language, str]] = {
    "bad_json": {
        _EN: "The request is not valid JSON.",
        _ZH: "請求內容不是有效的 JSON。",
    },
    "bad_request": {
        _EN: "The request is missing “{field}”, or it has the wrong form.",
        _ZH: "請求缺少「{field}」，或格式不正確。",
    },
    "body_too_large": {
        _EN: "The request is larger than {limit} kB.",
        _ZH: "請求超過 {limit} kB 的上限。",
    },
    "body_too_slow": {
        _EN: "The request took too long to arrive. Please send it again.",
        _ZH: "請求傳送太久，請再送一次。",
    },
    "json_required": {
        _EN: "Send requests as application/json.",
        _ZH: "請以 application/json 送出請求。",
    },
    "origin_refused": {
        _EN: "This request did not come from this page, so it was not carried out.",
        _ZH: "這個請求不是由本頁面發出，因此沒有執行。",
    },
    "host_refused": {
        _EN: "The playground only answers under localhost or 127.0.0.1.",
        _ZH: "試用頁面只接受以 localhost 或 127.0.0.1 連線。",
    },
    "proxy_refused": {
        _EN: "This page must be opened through the company's sign-in proxy.",
        _ZH: "請從公司的登入入口開啟此頁面。",
    },
    "not_signed_in": {
        _EN: "You are not signed in. Please open this page through your company's sign-in.",
        _ZH: "你尚未登入，請從公司的登入入口開啟此頁面。",
    },
    "acting_refused": {
        _EN: "You can only ask as yourself here.",
        _ZH: "在這裡只能以你本人的身分提問。",
    },
    "unknown_user": {
        _EN: "The directory does not know this person. Please ask your administrator.",
        _ZH: "通訊錄裡找不到這位使用者，請洽系統管理員。",
    },
    "unknown_conversation": {
        _EN: "This conversation does not exist, or you are not a member of it.",
        _ZH: "這個對話不存在，或你不是成員。",
    },
    "unknown_message": {
        _EN: "This message is no longer here.",
        _ZH: "這則訊息已經不在了。",
    },
    "unknown_passage": {
        _EN: "This passage no longer exists, or you may not read it.",
        _ZH: "這段內容已不存在，或你沒有閱讀權限。",
    },
    "not_found": {
        _EN: "There is nothing at this address.",
        _ZH: "這個網址沒有內容。",
    },
    "question_empty": {
        _EN: "Please type a question first.",
        _ZH: "請先輸入問題。",
    },
    "question_too_long": {
        _EN: "Your question has {length} characters; at most {limit} can be read. "
        "Please shorten it, or ask in several messages.",
        _ZH: "你的問題有 {length} 個字元，上限是 {limit} 個。請縮短，或分成幾則訊息提問。",
    },
    "comment_too_long": {
        _EN: "The comment has more than {limit} characters. Please shorten it.",
        _ZH: "意見超過 {limit} 個字元，請縮短。",
    },
    "cannot_rate": {
        _EN: "This message cannot be rated.",
        _ZH: "這則訊息無法評分。",
    },
    "too_many": {
        _EN: "That is more than can be answered at once. Please wait a minute and try again.",
        _ZH: "短時間內的請求太多了，請等一分鐘再試。",
    },
    "too_many_pages": {
        _EN: "This page is open in too many windows. Please close some of them.",
        _ZH: "此頁面開啟的視窗太多，請關閉幾個。",
    },
    "unavailable": {
        _EN: "Your access cannot be checked at the moment. Please try again shortly.",
        _ZH: "目前無法確認你的權限，請稍後再試。",
    },
    "no_documents": {
        _EN: "The documents cannot be reached at the moment. Please try again shortly.",
        _ZH: "目前無法連上文件庫，請稍後再試。",
    },
    "no_messages": {
        _EN: "Messages can be neither shown nor kept at the moment. Please try again shortly.",
        _ZH: "目前無法顯示或保存訊息，請稍後再試。",
    },
    "shutting_down": {
        _EN: "The server is restarting. Please try again in a moment.",
        _ZH: "伺服器正在重新啟動，請稍後再試。",
    },
    "failed": {
        _EN: "Something went wrong on our side. Please try again; if it happens again, "
        "tell your administrator.",
        _ZH: "系統發生錯誤，請再試一次；若持續發生，請告知系統管理員。",
    },
}


def text(code: str, language: Language, **values: object) -> str:
    """The sentence called *code*; numbers are grouped for reading."""
    shown = {k: f"{v:,}" if isinstance(v, int) else v for k, v in values.items()}
    return _TEXTS[code][language].format(**shown)


def preferred_language(accept_language: str) -> Language:
    """The best liked of our languages in an `Accept-Language` header; English without any."""
    best, best_weight = Language.ENGLISH, 0.0
    for part in accept_language[:500].split(","):
        tag, _, parameters = part.strip().lower().partition(";")
        language = {"zh": _ZH, "en": _EN}.get(tag.split("-")[0].strip())
        weight = _weight(parameters)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
