#!/usr/bin/env bash
# A driver in plain shell, with curl and jq, like a script that calls fal. Retries are those of curl.
set -u && shopt -s lastpipe # variables set in the last command of a pipe are kept
key="Authorization: Key $FAL_KEY"
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT

# request URL [OPTION ...]: writes the body to $folder/body and sets $status; fails unless the status is 2xx.
request() {
  status=$(: >"$folder/body" && curl -sS -o "$folder/body" -w '%{http_code}' --retry 2 \
    --retry-max-time "${timeout%.*}" --max-time "$timeout" "$@" 2>"$folder/error")
  case $? in 0) kind=http ;; 28) kind=timeout ;; *) kind=network ;; esac
  [ $kind = http ] && [ "${status:0:1}" = 2 ]
}
fal() { request -H "$key" "$@"; }
post() { fal -H 'Content-Type: application/json' --data-binary @- "$@"; } # the body is on stdin

job() { jq "$@" "$folder/job"; }
option() { job -r ".options.$1 // empty"; }
request_url() { echo "https://queue.fal.run/$(grep -oE '^((workflows|comfy)/)?[^/]+/[^/]+' <<<"$endpoint")/requests/$id"; }
# json [FILE]: whether the body is JSON; it is appended to the file.
json() { kind=other && [ -s "$folder/body" ] && jq -c . "$folder/body" >>"${1:-/dev/null}" 2>"$folder/error"; }

submit() {
  local url="https://queue.fal.run/$endpoint" hook
  job -r '.options | {"X-Fal-Queue-Priority": .priority, "X-Fal-Runner-Hint": .hint, "X-Fal-Request-Timeout":
    .start_timeout_s} | to_entries[] | select(.value) | "\(.key): \(.value)"' >"$folder/headers"
  hook=$(job -r '.options.webhook_url // empty | @uri')
  job -c .input | post -H "@$folder/headers" "$url${hook:+?fal_webhook=$hook}" && json || return 1
  id=$(jq -r '.request_id // empty' "$folder/body") && [ -n "$id" ]
}

subscribe() { # for at most $timeout seconds
  local end=$((SECONDS + ${timeout%.*})) state= url logs
  submit || return 1
  url=$(request_url) logs=$(option "with_logs // false | tostring")
  until [ "$state" = COMPLETED ]; do
    fal "$url/status?logs=$logs" && json "$folder/updates" || return 1
    state=$(jq -r .status "$folder/body")
    [ "$state" = COMPLETED ] || ((SECONDS < end)) || { fal -X PUT "$url/cancel"; kind=timeout && return 1; }
    [ "$state" = COMPLETED ] || sleep 0.2
  done
  fal "$url" && json
}

stream() { # the data of each event; sed and jq parse only simple events
  job -c .input | post -N -H 'Accept: text/event-stream' "https://fal.run/$endpoint/stream" || return 1
  sed -n 's/^data: \?//p' "$folder/body" | jq -cs . >"$folder/events" 2>"$folder/error" || { kind=other && return 1; }
  jq '.[-1]' "$folder/events" >"$folder/body"
}

upload() {
  job '{content_type, file_name}' | post 'https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3' && json || return 1
  local to url=$(jq .file_url "$folder/body")
  to=$(jq -r .upload_url "$folder/body")
  job -r .data_base64 | base64 -d >"$folder/file"
  request -X PUT -H "Content-Type: $(job -r .content_type)" --data-binary "@$folder/file" "$to" && echo "$url" >"$folder/body"
}

while IFS= read -r line; do
  rm -f "$folder"/* && touch "$folder"/{body,updates,error} && status=0 kind=other
  printf '%s\n' "$line" >"$folder/job" && echo null >"$folder/events"
  eval "$(job -r '@sh "endpoint=\(.endpoint // "") id=\(.request_id // "") timeout=\(.options.timeout_s // 8)",
    @sh "op=\(if .options.abort_after_s then "abort" else .op end)"')"
  case $op in
    run) job -c .input | post "https://fal.run/$endpoint" && json ;;
    submit) submit ;;
    status) fal "$(request_url)/status?logs=$(option "with_logs // false | tostring")" && json ;;
    result) fal "$(request_url)" && json ;;
    cancel) fal -X PUT "$(request_url)/cancel" && json ;;
    subscribe) subscribe ;;
    stream) stream ;;
    upload) upload ;;
    *) job -c '{id, unsupported: true, reason: "curl alone does not support this"}' && continue ;;
  esac && ok=true || ok=false
  jq -cn --slurpfile job "$folder/job" --argjson ok $ok --arg id "$id" --arg kind "$kind" --arg status "$status" \
    --rawfile text "$folder/body" --rawfile error "$folder/error" --slurpfile updates "$folder/updates" \
    --slurpfile events "$folder/events" '($text | try fromjson catch null) as $body | {id: $job[0].id, ok: $ok} + if $ok
    then {request_id: $id, result: $body, updates: $updates, events: $events[0]}
    else {error: {kind: (if $status == "422" then "validation" else $kind end), status: ($status | tonumber? // null),
      message: ((if $body then ($body | tojson) else $text end) + $error), error_type: ($body | .error_type? // null)}} end'
done
