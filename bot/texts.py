"""What the bot says by itself, in both languages."""

from bot.surroundings import Unreadable
from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

SEARCHING = {EN: "Searching the documents…", ZH: "正在搜尋文件…"}
EMPTY = {
    EN: "Please write a question, for example: “How many days of annual leave do I have?”",
    ZH: "請輸入問題，例如：「我有幾天特休？」",
}
TOO_LONG = {
    EN: "Your question has {length} characters; I can read {limit}. Please shorten it.",
    ZH: "你的問題有 {length} 個字元，最多可讀 {limit} 個，請縮短後再問。",
}
TOO_MANY = {
    EN: "You have asked a lot in the last minute. Please wait a moment and ask again.",
    ZH: "你在一分鐘內問了很多問題，請稍候再問。",
}
TIMED_OUT = {
    EN: "This took longer than {seconds:.0f} seconds, so I stopped. Please ask again.",
    ZH: "處理超過 {seconds:.0f} 秒，我先停止了，請再問一次。",
}
MANY_WAITING = {
    EN: "{waiting} questions are waiting right now, so this takes longer than usual. Yours is kept, and I will "
    "answer it here.",
    ZH: "目前有 {waiting} 個問題在等候，會比平常久一點。你的問題已經保留，我會在這裡回答。",
}
NEXT_IN_TURN = {
    EN: "Earlier questions here are still being answered; yours follows.",
    ZH: "這裡還有較早的問題在處理，完成後就會回答你的問題。",
}
TRYING_AGAIN = {
    EN: "I cannot reach the document store at the moment. I keep trying; you need not ask again.",
    ZH: "目前無法連上文件庫，我會繼續嘗試，不需要重新發問。",
}
STOPPED = {EN: "Stopped.", ZH: "已停止。"}
STORE_DOWN = {
    EN: "I cannot reach the document store right now. Nothing is lost; please ask again in a minute.",
    ZH: "目前無法連上文件庫。沒有遺失任何內容，請過一分鐘再問一次。",
}
MODEL_DOWN = {
    EN: "The model that I search with does not answer right now. Please ask again in a minute.",
    ZH: "搜尋所用的模型目前沒有回應，請過一分鐘再問一次。",
}
FAILED = {
    EN: "I could not answer this: something went wrong on my side, several times. It has been recorded. Please "
    "ask again later, or give the administrator this number: {number}.",
    ZH: "這個問題我沒能回答：我這裡連續發生錯誤，已經記錄下來。請稍後再問，或把這個編號告訴管理員：{number}。",
}
UNCHECKED = {
    EN: "I could not check who may read what here, so I used public documents only.",
    ZH: "我無法確認這裡的閱讀權限，因此只使用了公開文件。",
}
READERS_CHANGED = {
    EN: "Who can read this conversation changed while I was answering, so I withdrew the answer. Please ask again.",
    ZH: "回答期間能閱讀這個對話的人有變動，因此我撤回了答案，請再問一次。",
}
MEMORY_OFF = {
    EN: "I cannot remember this conversation right now, so ask follow-up questions in full.",
    ZH: "目前無法記住這段對話，接下來的問題請寫完整。",
}
FORGOTTEN_ALONE = {
    EN: "I have forgotten what we said here between the two of us. A thread that others read is forgotten by writing "
    "`forget` to me in it.",
    ZH: "我已經忘記這裡只有我們兩人看得到的對話。其他人也看得到的討論串，請在那個討論串裡對我輸入「忘記」。",
}
FORGOTTEN = {
    EN: "I have forgotten this conversation.",
    ZH: "我已經忘記這段對話了。",
}
ATTACHED_ALONE = {EN: "What does this file say?", ZH: "這份檔案在說什麼？"}
"""What is asked by sending a file without a word."""

READ_ONCE = {
    EN: "I read {names} for this answer only and keep nothing of it; attach it again to ask more.",
    ZH: "{names} 只用於這次回答，內容不會保留；要繼續追問請再附一次。",
}
READ_IN_PART = {
    EN: "I read only the beginning of {names}.",
    ZH: "{names} 太長，我只讀了前面的部分。",
}
NOT_KEPT = {
    EN: "(Answered from what came with the question; its content is not kept.)",
    ZH: "（根據隨問題附上的內容回答，內容不保留。）",
}
UNREADABLE = {
    Unreadable.IMAGE: {
        EN: "I cannot read images yet: {names}.",
        ZH: "我還看不懂圖片：{names}。",
    },
    Unreadable.TYPE: {
        EN: "I cannot read this type of file: {names}. "
        "I can read PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML, Markdown and text.",
        ZH: "我無法讀取這種檔案：{names}。可以讀取 PDF、Word（.docx）、Excel（.xlsx）、"
        "PowerPoint（.pptx）、HTML、Markdown 和純文字檔。",
    },
    Unreadable.TOO_LARGE: {
        EN: "I did not read {names}: too large for one answer. I can read files of up to {megabytes} MB.",
        ZH: "{names} 太大，我沒有讀取；單一檔案上限為 {megabytes} MB。",
    },
    Unreadable.TOO_MANY: {
        EN: "I read {files} files at a time, so I left out {names}.",
        ZH: "我一次最多讀取 {files} 個檔案，因此略過了 {names}。",
    },
    Unreadable.TOO_SLOW: {
        EN: "Reading {names} took too long, so I left it out.",
        ZH: "讀取 {names} 花了太多時間，因此我略過了。",
    },
    Unreadable.NO_TEXT: {
        EN: "I found no text in {names}; if it is a scan, run text recognition (OCR) over it first.",
        ZH: "{names} 裡沒有文字；如果是掃描檔，請先做文字辨識（OCR）。",
    },
    Unreadable.LOCKED: {
        EN: "I cannot open {names}: it is protected with a password.",
        ZH: "{names} 有密碼保護，我無法開啟。",
    },
    Unreadable.DAMAGED: {
        EN: "I cannot read {names}: it is damaged, or not what its name says.",
        ZH: "{names} 已損壞，或內容與副檔名不符，我無法讀取。",
    },
    Unreadable.NO_ACCESS: {
        EN: "I have no access to {names}.",
        ZH: "我沒有 {names} 的存取權限。",
    },
    Unreadable.GONE: {
        EN: "{names} has been deleted, or is not shared with me.",
        ZH: "{names} 已經被刪除，或沒有分享給我。",
    },
    Unreadable.ELSEWHERE: {
        EN: "{names} lies with another service, where I cannot read it.",
        ZH: "{names} 存放在其他服務，我無法讀取。",
    },
    Unreadable.AWAY: {
        EN: "I could not fetch {names} just now; please send the question again in a minute.",
        ZH: "目前無法取得 {names}，請過一分鐘再問一次。",
    },
}
