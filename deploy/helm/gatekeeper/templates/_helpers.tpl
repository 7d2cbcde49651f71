{{- define "gatekeeper.labels" -}}
app.kubernetes.io/name: gatekeeper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
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
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
{{- define "gatekeeper.sqlite" -}}
{{- if hasPrefix "sqlite:" (.Values.config.database | default "sqlite:") -}}true{{- end -}}
{{- end }}
