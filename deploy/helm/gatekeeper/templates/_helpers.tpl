{{- define "gatekeeper.version" -}}
{{- $digest := .Values.image.digest | trimPrefix "sha256:" | trunc 12 -}}
{{ .Values.image.tag | default .Chart.AppVersion | default $digest | required "set image.tag to a release, such as v1.2.3: the chart in the tree belongs to no image" }}
{{- end }}
{{- define "gatekeeper.labels" -}}
app.kubernetes.io/name: gatekeeper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "gatekeeper.version" . | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "gatekeeper.selector" -}}
app.kubernetes.io/name: gatekeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "gatekeeper.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ include "gatekeeper.version" . }}
{{- end -}}
{{- end }}
{{- define "gatekeeper.sqlite" -}}
{{- if hasPrefix "sqlite:" (.Values.config.database | default "sqlite:") -}}true{{- end -}}
{{- end }}
{{- define "gatekeeper.rulesHere" -}}
{{- if not (hasPrefix "github:" .Values.config.rules) -}}true{{- end -}}
{{- end }}
