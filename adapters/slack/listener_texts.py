"""What the bot says in Slack by itself: acknowledgements, modals, prompts; in both languages."""

from retrieval.types import Language

EN, ZH = Language.ENGLISH, Language.CHINESE

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
NOT_ACCEPTED = {
    EN: "I could not take this just now. Nothing was changed; please try again in a minute.",
    ZH: "目前無法處理，什麼都沒有變動，請過一分鐘再試一次。",
}

# Threads.
LEFT_THREAD = {
    EN: "All right. I say no more in this thread; mention me when you need me.",
    ZH: "好的，我不再回覆這個討論串；需要時再提及我就可以了。",
}

# Buttons.
THANKS_FOR_FEEDBACK = {EN: "Thank you, that helps.", ZH: "謝謝你的回饋，這對我很有幫助。"}
NOT_KEPT = {
    EN: "I no longer have this answer, or it is not yours. Please ask the question again.",
    ZH: "這則答案已經不在了，或者不是你的。請再問一次。",
}
COPY_ON_ITS_WAY = {
    EN: "I am writing it to you as a direct message, with what you may read now.",
    ZH: "我會依你目前可以閱讀的內容，用私訊寫給你。",
}
SHARED = {
    EN: "Your question stands in the channel now, and is being answered there.",
    ZH: "你的問題已經貼到頻道，正在那裡回答。",
}
SHARED_ALREADY = {
    EN: "You have shared this answer here already.",
    ZH: "你已經把這則答案分享到這裡了。",
}
NO_SOURCES_LEFT = {
    EN: "The sources of this answer that you may read.",
    ZH: "這則答案的出處中，你可以閱讀的部分。",
}
CANNOT_POST_HERE = {
    EN: "I cannot post here. Invite me to the channel first (/invite @Shifu), then share again.",
    ZH: "我無法在這裡發言。請先邀請我加入頻道（/invite @Shifu），再分享一次。",
}
ASKED_BY = {EN: "<@{user}> asks: {question}", ZH: "<@{user}> 想問：{question}"}

# Modals: titles have at most 24 characters.
CLOSE = {EN: "Close", ZH: "關閉"}
CANCEL = {EN: "Cancel", ZH: "取消"}
SEND = {EN: "Send", ZH: "送出"}
SHARE = {EN: "Share", ZH: "分享"}
LOADING = {EN: "One moment…", ZH: "請稍候…"}
FEEDBACK_TITLE = {EN: "What was wrong?", ZH: "哪裡不對？"}
FEEDBACK_LABEL = {
    EN: "What did you expect? Your words go to the people who look after Shifu.",
    ZH: "你期待的答案是什麼？這段話會交給維護 Shifu 的同仁。",
}
SHARE_TITLE = {EN: "Share in channel", ZH: "分享到頻道"}
SHARE_QUESTION = {
    EN: "I ask your question in the channel, under your name, and answer it anew there:\n\n{question}",
    ZH: "我會以你的名義在頻道提出這個問題，並在那裡重新回答：\n\n{question}",
}
SHARE_MISSING = {
    EN: "{missing} of your sources cannot be read by everyone there ({readers} people) and will be missing; {shared} "
    "remain. Only you see this list:",
    ZH: "有 {missing} 個來源不是那裡的每個人（共 {readers} 人）都能閱讀，因此不會出現；會保留 {shared} 個。"
    "只有你看得到這份清單：",
}
SHARE_NOTHING_MISSING = {
    EN: "Everyone there ({readers} people) may read all its sources; nothing will be missing.",
    ZH: "那裡的每個人（共 {readers} 人）都能閱讀所有來源，內容不會減少。",
}
SHARE_UNCHECKED = {
    EN: "I could not check who may read what there, so the answer will use public documents only.",
    ZH: "我無法確認那裡的閱讀權限，因此答案只會使用公開文件。",
}
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
SAVE_TITLE = {EN: "Save to knowledge", ZH: "存成知識"}
SAVE_LABELS = {EN: ("Title", "What should be kept"), ZH: ("標題", "要保留的內容")}
SAVE_AUDIENCE = {EN: "Who should be able to read it?", ZH: "誰可以閱讀？"}
SAVE_AUDIENCES = {
    EN: ("The people in this channel", "All employees", "Only me for now"),
    ZH: ("這個頻道的成員", "全體員工", "暫時只有我"),
}
SAVE_CUT = {
    EN: "Only its first {most:,} characters fit here.",
    ZH: "這裡只放得下前 {most:,} 個字元。",
}
SAVE_HINT = {
    EN: "Nothing is published by this: it waits until somebody reviews it, with a link to the original message.",
    ZH: "這樣還不會公開：會等候專人審核，並附上原始訊息的連結。",
}
NOTHING_TO_SAVE = {
    EN: "This message has no text that could be kept.",
    ZH: "這則訊息沒有可以保留的文字。",
}
SAVED_FOR_REVIEW = {
    EN: "Thank you. It waits for review now; nothing is published before that.",
    ZH: "謝謝你。內容已送交審核，審核前不會公開。",
}

TOO_MANY_SAVED = {
    EN: "You have proposed a lot today. Nothing was saved; please go on tomorrow.",
    ZH: "你今天提交了很多內容，這次沒有儲存，請明天再繼續。",
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
