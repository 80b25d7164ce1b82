"""Users, channels and files as Slack's JSON shows them."""

from tests.fakes.slack.world import Channel, File, Install, Json, User, UserGroup, World


def user_json(world: World, user: User, install: Install, *, with_locale: bool = False) -> Json:
    enterprise = world.enterprise_of(user.team)
    own = {team for seen in world.teams_of(install) for team in world.org(seen)}
    # Somebody of another organisation with whom a channel is shared is no stranger to Slack.
    is_foreign = user.is_stranger or user.team not in own
    profile: Json = {
        "real_name": user.name,
        "real_name_normalized": user.name,
        "display_name": user.name.split()[0].lower(),
        "title": user.title,
        "team": user.team,
    }
    may_read_email = "users:read.email" in install.scopes and user.email and not is_foreign
    if may_read_email:
        profile["email"] = user.email
    body: Json = {
        "id": user.id,
        "team_id": user.team,
        "name": user.name.lower().replace(" ", "."),
        "deleted": user.is_deleted,
        "real_name": user.name,
        "tz": "Asia/Taipei",
        "profile": profile,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": 1_700_000_000,
    }
    if may_read_email:
        body["is_email_confirmed"] = user.is_email_confirmed
    # Slack leaves out what it does not tell of somebody deleted or from elsewhere.
    if not user.is_deleted and not is_foreign:
        is_guest = user.is_guest or user.is_ultra
        body |= {"is_restricted": is_guest, "is_ultra_restricted": user.is_ultra}
        body |= {"is_admin": False, "is_owner": False}
    if user.is_stranger:
        body["is_stranger"] = True
    if enterprise is not None:
        body["enterprise_user"] = {
            "id": user.id,
            "enterprise_id": enterprise,
            "enterprise_name": enterprise,
            "is_admin": False,
            "teams": user.teams or [user.team],
        }
    if with_locale:
        body["locale"] = user.locale
    return body


def channel_json(
    world: World, channel: Channel, install: Install, *, with_count: bool = False
) -> Json:
    if channel.kind == "im":
        others = [m for m in channel.members if m != install.bot_user]
        return {
            "id": channel.id,
            "created": 1_700_000_000,
            "is_archived": channel.is_archived,
            "is_im": True,
            "is_org_shared": False,
            "user": others[0] if others else "USLACKBOT",
            "is_user_deleted": False,
        }
    is_public = channel.kind == "public"
    body: Json = {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": is_public or channel.id.startswith("C"),
        "is_group": channel.kind == "private" and channel.id.startswith("G"),
        "is_im": False,
        "is_mpim": channel.kind == "mpim",
        "is_private": not is_public,
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "created": 1_700_000_000,
        "creator": "U0",
        "is_shared": bool(channel.connected or channel.shared_with),
        "is_org_shared": bool(channel.shared_with),
        "is_ext_shared": channel.is_ext_shared,
        "is_pending_ext_shared": channel.is_pending_ext_shared,
        "pending_shared": [],
        "context_team_id": world.teams_of(install)[0],
        "is_member": install.bot_user in channel.members,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "shared_team_ids": channel.teams,
    }
    if channel.connected:
        body["connected_team_ids"] = channel.connected
        body["conversation_host_id"] = channel.team
    if with_count:
        body["num_members"] = len(channel.members)
    return body


def usergroup_json(group: UserGroup, *, with_users: bool) -> Json:
    body: Json = {
        "id": group.id,
        "team_id": group.team,
        "is_usergroup": True,
        "name": group.name or group.handle,
        "handle": group.handle,
        "description": "",
        "is_external": False,
        "date_delete": 1_700_000_000 if group.is_disabled else 0,
        "user_count": len(group.members),
    }
    return body | ({"users": list(group.members)} if with_users else {})


def file_json(origin: str, file: File, *, is_event: bool = False) -> Json:
    if file.is_stub and is_event:
        return {"id": file.id, "mode": "file_access", "file_access": "check_file_info"}
    url = f"{origin}/files-pri/{file.team}-{file.id}"
    return {
        "id": file.id,
        "created": 1_700_000_000,
        "name": file.name,
        "title": file.name,
        "mimetype": file.mimetype,
        "filetype": file.name.rpartition(".")[2],
        "user": file.user,
        "user_team": file.team,
        "mode": "external" if file.is_external else "hosted",
        "is_external": file.is_external,
        "size": len(file.content),
        "url_private": f"{url}/{file.name}",
        "url_private_download": f"{url}/download/{file.name}",
        "permalink": f"https://{file.team.lower()}.slack.example/files/{file.user}/{file.id}",
        "file_access": "visible",
        "channels": list(file.channels),
    }
