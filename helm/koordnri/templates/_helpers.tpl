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
{{- /* What pods have in common that ask the daemon of their node through its control socket. */ -}}
{{- define "koordnri.askingPod" -}}
serviceAccountName: koordnri
automountServiceAccountToken: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: state
    hostPath:
      path: {{ .Values.stateDir }}
      type: Directory
{{- end }}
{{- define "koordnri.askingContainer" -}}
image: {{ include "koordnri.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "koordnri.confined" . | nindent 2 }}
volumeMounts:
  - name: state
    mountPath: /var/lib/koordnri
    # A socket can be connected to all the same.
    readOnly: true
{{- end }}
{{- define "koordnri.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
{{- /* Root, for the control socket belongs to root; nothing else of root. */ -}}
{{- define "koordnri.confined" -}}
runAsUser: 0
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* How a monitor asks for the metrics: with TLS and the token, where they are on. */}}
{{- define "koordnri.scrape" -}}
{{- with .Values.metrics.tls }}
{{- if .secretName -}}
scheme: https
tlsConfig:
  {{- if .serverName }}
  ca:
    secret:
      name: {{ .secretName | quote }}
      key: ca.crt
  serverName: {{ .serverName | quote }}
  {{- else }}
  insecureSkipVerify: true
  {{- end }}
{{ end }}
{{- end }}
{{- with .Values.metrics.token }}
{{- if .secretName -}}
authorization:
  credentials:
    name: {{ .secretName | quote }}
    key: {{ .key | quote }}
{{- end }}
{{- end }}
{{- end }}
