{{- /*
The pod of every component. Takes a dict:
  root, component   as everywhere
  args              of `shifu`
  resources
  port              of the health endpoint, null for jobs
  preStopSeconds    how long a stopping pod still takes requests
  readsDocuments    whether the documents are mounted
  inlineSettings    settings in the pod instead of from the ConfigMap, for a hook that runs before the ConfigMap is
                    replaced
*/ -}}
{{- define "shifu.pod" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
metadata:
  labels:
    {{- include "shifu.labels" . | nindent 4 }}
    {{- with $v.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # A changed setting replaces the pods.
    checksum/settings: {{ include "shifu.settings" $root | sha256sum }}
    {{- with .podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "shifu.serviceAccount" $root }}
  automountServiceAccountToken: false
  # A Service named shifu would otherwise bring variables that begin like settings and are none: that ends the start.
  enableServiceLinks: false
  {{- with $v.image.pullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if .port }}
  # Until the Service has forgotten us, then what is in flight, then a margin.
  terminationGracePeriodSeconds: {{ add (default 0 .preStopSeconds) $v.drainSeconds 15 }}
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{ include "shifu.selector" $ | nindent 10 }}
      # Each version spread by itself, or a rolling update would lean on the pods that are about to go.
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- else }}
  restartPolicy: Never
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with .nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: shifu
      image: {{ include "shifu.image" $root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args: {{ toYaml .args | nindent 8 }}
      {{- if not .inlineSettings }}
      envFrom:
        - configMapRef: {name: {{ include "shifu.fullname" $root }}}
      {{- end }}
      env:
        {{- if .inlineSettings }}
        {{- range $name, $value := include "shifu.settings" $root | fromYaml }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- end }}
        {{- if eq .component "serve" }}
        - name: SHIFU_WORK__IN_SERVE
          value: {{ $v.serve.works | quote }}
        {{- end }}
        {{- include "shifu.secretEnv" $root | nindent 8 }}
        {{- include "shifu.slackEnv" . | nindent 8 }}
        {{- include "shifu.teamsEnv" . | nindent 8 }}
      {{- if .port }}
      ports:
        - {name: http, containerPort: {{ .port }}}
      # Started means that the dependencies have answered once: a rollout whose pods can not reach them stops there.
      startupProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: {{ div (add $v.probes.startupSeconds 4) 5 }}
      readinessProbe:
        httpGet: {path: {{ $v.probes.readinessPath }}, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      # Never the dependencies: a restart mends none of them.
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if .preStopSeconds }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ .preStopSeconds }}}
      {{- end }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources: {{ toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- if include "shifu.hasDirectory" $root }}
        - {name: directory, mountPath: /etc/shifu, readOnly: true}
        {{- end }}
        - {name: tmp, mountPath: /tmp}
        - {name: home, mountPath: /var/lib/shifu}
        {{- if .readsDocuments }}
        - {name: documents, mountPath: {{ $v.documents.mountPath }}, readOnly: true}
        {{- end }}
        {{- if $v.caBundle.configMap }}
        - {name: ca-bundle, mountPath: /etc/ssl/shifu, readOnly: true}
        {{- end }}
        {{- if include "shifu.hasTeamsCertificate" . }}
        - {name: teams, mountPath: /etc/shifu-teams, readOnly: true}
        {{- end }}
        {{- with $v.extraVolumeMounts }}{{ toYaml . | nindent 8 }}{{ end }}
  volumes:
    {{- if include "shifu.hasDirectory" $root }}
    # Whole, not by subPath: only so does an edit arrive without a restart.
    - name: directory
      {{- if $v.directory.secret }}
      secret: {secretName: {{ $v.directory.secret | quote }}, defaultMode: 0440}
      {{- else }}
      configMap: {name: {{ $v.directory.configMap | quote }}}
      {{- end }}
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    # Nothing is kept here: documents are in Weaviate, conversations and the queue in Redis.
    - name: home
      emptyDir: {sizeLimit: 256Mi}
    {{- if .readsDocuments }}
    - name: documents
      {{- toYaml $v.documents.volume | nindent 6 }}
    {{- end }}
    {{- with $v.caBundle.configMap }}
    - name: ca-bundle
      configMap: {name: {{ . | quote }}}
    {{- end }}
    {{- if include "shifu.hasTeamsCertificate" . }}
    # Of the Secret only this entry, and whole, so that a renewed one arrives.
    - name: teams
      secret:
        secretName: {{ $v.teams.existingSecret | quote }}
        defaultMode: 0440
        items: [{key: {{ $v.teams.keys.certificate | quote }}, path: {{ $v.teams.keys.certificate | quote }}}]
    {{- end }}
    {{- with $v.extraVolumes }}{{ toYaml . | nindent 4 }}{{ end }}
{{- end -}}
