{{- define "shifu.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "shifu.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "shifu.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "shifu.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What selects pods; never changes over a release's life. Takes a dict of `root` and `component`. */ -}}
{{- define "shifu.selector" -}}
app.kubernetes.io/name: {{ include "shifu.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "shifu.labels" -}}
{{ include "shifu.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "shifu.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "shifu.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "shifu.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* Not empty if people stand in a file. */ -}}
{{- define "shifu.hasDirectory" -}}
{{- or .Values.directory.configMap .Values.directory.secret -}}
{{- end -}}

{{- /* All settings that are no secrets, by variable; what every process gets. */ -}}
{{- define "shifu.settings" -}}
{{- $v := .Values -}}
{{- $settings := dict
  "SHIFU_TENANT" $v.tenant
  "SHIFU_WEB__HOST" "0.0.0.0"
  "SHIFU_WEB__PORT" "8020"
  "SHIFU_WEB__MODE" "header"
  "SHIFU_WEB__USER_HEADER" $v.web.userHeader
  "SHIFU_WEB__TRUSTED_PROXIES" (toJson $v.web.trustedProxies)
  "SHIFU_WEB__PUBLIC_ORIGINS" (toJson $v.web.publicOrigins)
  "SHIFU_WEB__FRAME_ANCESTORS" (toJson $v.web.frameAncestors)
  "SHIFU_WEAVIATE__URL" $v.weaviate.url
  "SHIFU_WEAVIATE__REPLICAS" (toString $v.weaviate.replicas)
  "SHIFU_EMBEDDINGS__PROVIDER" $v.embeddings.provider
  "SHIFU_WORK__SLOTS" (toString $v.slots)
  "SHIFU_WORK__DRAIN_S" (toString $v.drainSeconds)
  "SHIFU_WORK__PORT" "8021"
-}}
{{- range $name, $value := dict
  "SHIFU_WEAVIATE__GRPC_URL" $v.weaviate.grpcUrl
  "SHIFU_WEAVIATE__TIMEOUT_S" $v.weaviate.timeoutSeconds
  "SHIFU_MODEL__BASE_URL" $v.model.baseUrl
  "SHIFU_MODEL__NAME" $v.model.name
  "SHIFU_EMBEDDINGS__BASE_URL" $v.embeddings.baseUrl
  "SHIFU_EMBEDDINGS__NAME" $v.embeddings.name
  "SHIFU_SYNC__SCHEDULE" $v.sync.schedule
  "SHIFU_SLACK__CLIENT_ID" (ternary $v.slack.clientId "" (not (empty $v.slack.existingSecret)))
  "SHIFU_TEAMS__APP_ID" $v.teams.appId
  "SHIFU_TEAMS__APP_TENANT_ID" $v.teams.appTenantId
-}}
{{- if $value }}{{ $_ := set $settings $name (toString $value) }}{{ end -}}
{{- end -}}
{{- if include "shifu.hasDirectory" . -}}
{{- $_ := set $settings "SHIFU_DIRECTORY__PATH" (printf "/etc/shifu/%s" $v.directory.key) -}}
{{- end -}}
{{- if and $v.slack.existingSecret $v.slack.teams -}}
{{- $_ := set $settings "SHIFU_SLACK__TEAMS" (toJson $v.slack.teams) -}}
{{- end -}}
{{- if $v.sync.schedule -}}
{{- $_ := set $settings "SHIFU_SYNC__PATHS" (toJson $v.sync.paths) -}}
{{- $_ := set $settings "SHIFU_SYNC__ACL" (toJson $v.sync.acl) -}}
{{- end -}}
{{- range $name, $value := $v.settings -}}
{{- if or (eq $name "SHIFU_REDIS__URL") (regexMatch "(_API_KEY|_TOKEN|_SECRET|_KEYS|_PASSWORD)$" $name) -}}
{{- fail (printf "settings.%s: a secret is no value; name its Secret in redis, weaviate, model, embeddings, slack or teams" $name) -}}
{{- end -}}
{{- if eq $name "SHIFU_TEAMS__DEVELOPMENT" -}}
{{- fail (printf "settings.%s: takes what comes without a token; it is for a machine of one's own" $name) -}}
{{- end -}}
{{- if or (hasKey $settings $name) (has $name (list
  "SHIFU_WORK__IN_SERVE" "SHIFU_DIRECTORY__PATH" "SHIFU_SLACK__CLIENT_ID" "SHIFU_SLACK__TEAMS" "SHIFU_TEAMS__APP_ID"
  "SHIFU_TEAMS__APP_TENANT_ID" "SHIFU_TEAMS__CERTIFICATE" "SHIFU_TEAMS__MANAGED_IDENTITY"
)) -}}
{{- fail (printf "settings.%s: has a value of its own in this chart; set that one" $name) -}}
{{- end -}}
{{- $isJson := or (kindIs "slice" $value) (kindIs "map" $value) -}}
{{- $_ := set $settings $name ($isJson | ternary (toJson $value) (toString $value)) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{- /* Secrets by reference. */ -}}
{{- define "shifu.secretEnv" -}}
{{- range $name, $from := dict
  "SHIFU_REDIS__URL" .Values.redis
  "SHIFU_WEAVIATE__API_KEY" .Values.weaviate
  "SHIFU_MODEL__API_KEY" .Values.model
  "SHIFU_EMBEDDINGS__API_KEY" .Values.embeddings
}}
{{- if $from.existingSecret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $from.existingSecret | quote }}, key: {{ $from.key | quote }}}
{{- end }}
{{- end }}
{{- if .Values.caBundle.configMap }}
- name: SSL_CERT_FILE
  value: /etc/ssl/shifu/{{ .Values.caBundle.key }}
{{- end }}
{{- end -}}

{{- /*
Slack's secrets by reference: for whoever answers what that takes, for whoever takes events in what they come by, and
for jobs none. Takes a dict of `root` and `component`.
*/ -}}
{{- define "shifu.slackEnv" -}}
{{- $slack := .root.Values.slack -}}
{{- $read := dict -}}
{{- if and $slack.existingSecret (has .component (list "serve" "worker")) -}}
{{- if $slack.clientId -}}
{{- $read = dict "SHIFU_SLACK__CLIENT_SECRET" "clientSecret" "SHIFU_SLACK__INSTALLATION_KEYS" "installationKeys" -}}
{{- else -}}
{{- $read = dict "SHIFU_SLACK__BOT_TOKEN" "botToken" -}}
{{- end -}}
{{- if and (eq .component "serve") (eq $slack.events "http") -}}
{{- $_ := set $read "SHIFU_SLACK__SIGNING_SECRET" "signingSecret" -}}
{{- else if eq .component "serve" -}}
{{- $_ := set $read "SHIFU_SLACK__APP_TOKEN" "appToken" -}}
{{- end -}}
{{- end -}}
{{- range $name, $key := $read }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $slack.existingSecret | quote }}, key: {{ index $slack.keys $key | quote }}}
{{- end }}
{{- end -}}

{{- /* Not empty if this component signs in to Teams by a file. Takes a dict of `root` and `component`. */ -}}
{{- define "shifu.hasTeamsCertificate" -}}
{{- $teams := .root.Values.teams -}}
{{- if and $teams.appId (eq $teams.credential "certificate") (has .component (list "serve" "worker")) }}yes{{ end -}}
{{- end -}}

{{- /* How a component signs in to Teams; jobs do not. Takes a dict of `root` and `component`. */ -}}
{{- define "shifu.teamsEnv" -}}
{{- $teams := .root.Values.teams -}}
{{- if include "shifu.hasTeamsCertificate" . }}
- name: SHIFU_TEAMS__CERTIFICATE
  value: /etc/shifu-teams/{{ $teams.keys.certificate }}
{{- else if and $teams.appId (has .component (list "serve" "worker")) (eq $teams.credential "managedIdentity") }}
- name: SHIFU_TEAMS__MANAGED_IDENTITY
  value: "true"
{{- else if and $teams.appId (has .component (list "serve" "worker")) }}
- name: SHIFU_TEAMS__APP_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $teams.existingSecret | quote }}, key: {{ $teams.keys.clientSecret | quote }}}
{{- end }}
{{- end -}}
