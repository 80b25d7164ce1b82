"""Microsoft Teams: chats and channels, people and groups of Entra, documents of SharePoint."""
