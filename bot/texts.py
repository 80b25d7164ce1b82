"""What the bot says by itself, in both languages."""

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
FORGOTTEN = {
    EN: "I have forgotten this conversation.",
    ZH: "我已經忘記這段對話了。",
}
HELP = {
    EN: "Ask me anything about the company's documents, in Chinese or English. I answer only from what everyone "
    "who reads the answer may read, and I cite my sources. Ask follow-up questions in the same thread. "
    "Write `forget` to make me forget this conversation.",
    ZH: "用中文或英文問我公司文件裡的任何問題。我只使用所有讀得到這則回答的人都可以閱讀的文件，並附上出處。"
    "可以在同一個討論串繼續追問。輸入「忘記」就會清除這段對話的記憶。",
}
