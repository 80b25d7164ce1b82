"""What the bot says in Teams by itself: greetings and answers to buttons; in both languages."""

from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

HELLO = {
    EN: "Hello, I am Shifu 師傅. Mention me with a question about the company's documents. Here I answer only with "
    "what everyone who reads it may read, and I cite my sources.",
    ZH: "大家好，我是師傅 Shifu。有公司文件的問題，提及我就可以問。"
    "在這裡，我只用讀得到答案的每個人都可以閱讀的內容回答，並附上出處。",
}
CANNOT_POST_HERE = {
    EN: "I cannot post there. Add me to the team or chat first (Apps, Shifu, Add), then share again.",
    ZH: "我無法在那裡發言。請先把我加入該團隊或聊天（應用程式、Shifu、新增），再分享一次。",
}
CANNOT_WRITE_TO_YOU = {
    EN: "I cannot write to you. Install me for yourself first (Apps, Shifu, Add), then try again.",
    ZH: "我無法傳訊息給你。請先為自己安裝我（應用程式、Shifu、新增），再試一次。",
}
ASKED_BY = {EN: "{name} asks: {question}", ZH: "{name} 想問：{question}"}
SHARE_UNDER_WAY = {
    EN: "Teams takes its time. Your question is being posted there, and answered.",
    ZH: "Teams 回應較慢，你的問題正在貼到那裡並回答。",
}
LEFT_THREAD = {
    EN: "All right. I say no more in this thread; mention me when you need me.",
    ZH: "好的，我不再回覆這個討論串；需要時再提及我就可以了。",
}
SOURCES_TITLE = {EN: "Sources", ZH: "來源"}
ON_ITS_WAY = {EN: "One moment, I am writing it to you.", ZH: "請稍候，我正在寫給你。"}
CANCELLED = {EN: "Nothing was shared.", ZH: "沒有分享任何內容。"}
UNKNOWN_BUTTON = {
    EN: "I do not know this button any more. Please ask the question again.",
    ZH: "這個按鈕已經不適用了，請再問一次。",
}
