{{- define "koordnri.labels" -}}
app.kubernetes.io/name: koordnri
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- /* NAMESPACE/NAME of the ConfigMap that holds the policy, and what contradicts itself about it. */ -}}
{{- define "koordnri.policyConfigMap" -}}
{{- with .Values.apiAccess.policyConfigMap }}
{{- if not $.Values.apiAccess.enabled }}
{{- fail (printf "apiAccess.policyConfigMap is %s, which is read through the API server: set apiAccess.enabled to true, or leave it empty" .) }}
{{- end }}
{{- if $.Values.policy }}
{{- fail (printf "expected policy or apiAccess.policyConfigMap, got both: put the policy into ConfigMap %s, or leave its name empty" .) }}
{{- end }}
{{- . }}
{{- else }}
{{- printf "%s/koordnri-policy" .Release.Namespace }}
{{- end }}
{{- end }}
