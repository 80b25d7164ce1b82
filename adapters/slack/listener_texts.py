"""What is said in Slack alone: around answers, acknowledgements, modals, prompts; in both languages."""

from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

# Around an answer.
SEARCHED = {EN: "Searched the documents", ZH: "已搜尋文件"}
HELPFUL = {EN: "Helpful", ZH: "有幫助"}
UNHELPFUL = {EN: "Not helpful", ZH: "沒有幫助"}
COPY = {EN: "Send me a copy by DM", ZH: "以私訊傳一份給我"}

# Commands.
ASK_USAGE = {
    EN: "Write your question after the command, for example: `/ask How many days of annual leave do I have?` "
    "Only you see the answer.",
    ZH: "請在指令後面寫上問題，例如：`/ask 我有幾天特休？` 只有你看得到答案。",
}
QUESTION_TAKEN = {
    EN: "You asked: {question}\nOnly you see this question and its answer.",
    ZH: "你問：{question}\n只有你看得到這個問題和答案。",
}

# Buttons.
CANNOT_POST_HERE = {
    EN: "I cannot post here. Invite me to the channel first (/invite @Shifu), then share again.",
    ZH: "我無法在這裡發言。請先邀請我加入頻道（/invite @Shifu），再分享一次。",
}
ASKED_BY = {EN: "<@{user}> asks: {question}", ZH: "<@{user}> 想問：{question}"}

# Modals: titles have at most 24 characters.
LOADING = {EN: "One moment…", ZH: "請稍候…"}
CLOSE = {EN: "Close", ZH: "關閉"}
ASK_MODAL = {
    EN: ("Ask Shifu", "Your question"),
    ZH: ("問問 Shifu", "你的問題"),
}
ASK_PLACEHOLDER = {
    EN: "How do I file a travel expense?",
    ZH: "出差費用要怎麼報銷？",
}
QUESTION_ON_ITS_WAY = {
    EN: "The answer comes as a direct message from me.",
    ZH: "答案會以私訊傳給你。",
}

# The agent's surface.
PROMPTS_TITLE = {EN: "What would you like to know?", ZH: "想知道什麼呢？"}
PROMPT_SOURCES = {EN: ("What may I ask about?", "/sources"), ZH: ("我可以問哪些資料？", "/sources")}
PROMPT_HELP = {EN: ("What can you do?", "/help"), ZH: ("你會做什麼？", "/help")}

# The home tab.
HOME_HELLO = {EN: "Hello, I am Shifu 師傅", ZH: "你好，我是師傅 Shifu"}
HOME_INTRO = {
    EN: "Ask me about the company's documents: mention me in a channel, write to me under *Messages*, or type "
    "`/ask`. I use only what everyone who reads the answer may read, and I cite my sources.",
    ZH: "公司文件的問題都可以問我：在頻道提及我、在「訊息」分頁寫給我，或輸入 `/ask`。"
    "我只使用讀得到答案的每個人都可以閱讀的內容，並附上出處。",
}
HOME_ASK = {EN: "Ask a question", ZH: "我要發問"}
HOME_READ = {EN: "What I may read", ZH: "我可以閱讀的內容"}
HOME_GROUPS = {EN: "Your groups: {groups}", ZH: "你的群組：{groups}"}
HOME_NO_GROUPS = {
    EN: "You are in no group: I answer you from what everybody may read.",
    ZH: "你不屬於任何群組：我會用所有人都可以閱讀的內容回答你。",
}
HOME_UNKNOWN = {
    EN: "I do not know you, so I answer you from public documents only. An administrator can add you to the directory.",
    ZH: "我不認識你，因此只會用公開文件回答你。管理員可以把你加入目錄。",
}
HOME_SOURCES = {EN: "Sources", ZH: "資料來源"}
HOME_SOURCE = {
    EN: "{name}: documents {documents}, newest change {date}",
    ZH: "{name}：{documents} 份文件，最近更新 {date}",
}
HOME_NO_SOURCES = {EN: "Nothing yet.", ZH: "目前沒有。"}
HOME_RECENT = {EN: "Your recent questions", ZH: "你最近問過的問題"}
HOME_NO_RECENT = {EN: "None yet.", ZH: "還沒有。"}
HOME_LANGUAGE = {EN: "Language of my answers", ZH: "回答的語言"}
HOME_LANGUAGES = {
    EN: {"auto": "As I ask", "zh": "中文", "en": "English"},
    ZH: {"auto": "跟我發問時相同", "zh": "中文", "en": "English"},
}
HOME_PRIVACY = {EN: "Privacy", ZH: "隱私"}
HOME_PRIVACY_TEXT = {
    EN: "I keep your questions for 30 days so that you can ask why I answered as I did. Answers are written by "
    "software and may be wrong: look at the sources.",
    ZH: "我會保留你的問題 30 天，讓你可以追問我為什麼這樣回答。答案由軟體產生，可能有誤，請查看出處。",
}
HOME_FORGET = {EN: "Forget me", ZH: "清除我的資料"}
HOME_FORGET_CONFIRM = {
    EN: "I forget what you asked, our conversations, your feedback and your language. This cannot be undone.",
    ZH: "我會忘記你問過的問題、我們的對話、你的回饋和語言設定，而且無法復原。",
}
HOME_ADMIN = {EN: "For administrators", ZH: "管理員專用"}
HOME_QUEUE = {
    EN: "Waiting: {waiting} · given up: {dead}",
    ZH: "等候中：{waiting} · 已放棄：{dead}",
}
HOME_INDEX = {
    EN: "Documents: {documents} · passages: {chunks} · without vectors: {without}",
    ZH: "文件：{documents} · 段落：{chunks} · 尚無向量：{without}",
}
HOME_REVIEW = {EN: "Waiting for review: {count}", ZH: "等待審核：{count}"}
HOME_UNANSWERED = {EN: "Questions without an answer", ZH: "沒有答案的問題"}
HOME_UNANSWERED_ELSEWHERE = {
    EN: "{count} more, asked where you do not read along.",
    ZH: "另有 {count} 個，是在你看不到的對話裡問的。",
}
HOME_REPORTS = {EN: "Reported problems", ZH: "回報的問題"}
HOME_UNAVAILABLE = {
    EN: "I cannot show this right now; please open the tab again in a minute.",
    ZH: "目前無法顯示，請過一分鐘再打開這個分頁。",
}
