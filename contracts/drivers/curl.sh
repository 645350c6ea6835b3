#!/usr/bin/env bash
# A driver in plain shell: curl asks, jq reads. What a script that calls fal looks like, with the retries that curl has.
set -u && shopt -s lastpipe # what the end of a pipe sets, stays
key="Authorization: Key $FAL_KEY"
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT

# ask URL [OPTION ...]: the body is in $folder/body then, and the status in $status; fails unless that is 2xx.
ask() {
  status=$(: >"$folder/body" && curl -sS -o "$folder/body" -w '%{http_code}' --retry 2 \
    --retry-max-time "${patience%.*}" --max-time "$patience" "$@" 2>"$folder/why")
  case $? in 0) kind=http ;; 28) kind=timeout ;; *) kind=network ;; esac
  [ $kind = http ] && [ "${status:0:1}" = 2 ]
}
fal() { ask -H "$key" "$@"; }
post() { fal -H 'Content-Type: application/json' --data-binary @- "$@"; } # reads the body from stdin

job() { jq "$@" "$folder/job"; }
option() { job -r ".options.$1 // empty"; }
about() { echo "https://queue.fal.run/$(grep -oE '^((workflows|comfy)/)?[^/]+/[^/]+' <<<"$endpoint")/requests/$id"; }
json() { kind=other && [ -s "$folder/body" ] && jq . "$folder/body" >/dev/null 2>"$folder/why"; } # is the body JSON?

submit() {
  local url="https://queue.fal.run/$endpoint" hook
  job -r '.options | {"X-Fal-Queue-Priority": .priority, "X-Fal-Runner-Hint": .hint, "X-Fal-Request-Timeout":
    .start_timeout_s} | to_entries[] | select(.value) | "\(.key): \(.value)"' >"$folder/headers"
  hook=$(job -r '.options.webhook_url // empty | @uri')
  job -c .input | post -H "@$folder/headers" "$url${hook:+?fal_webhook=$hook}" && json || return 1
  id=$(jq -r '.request_id // empty' "$folder/body") && [ -n "$id" ]
}

subscribe() { # for at most $patience seconds, if that is asked for
  local end=$((SECONDS + ${patience%.*})) state=
  submit || return 1
  until [ "$state" = COMPLETED ]; do
    fal "$(about)/status?logs=$(option "with_logs // false | tostring")" && json || return 1
    jq -c . "$folder/body" >>"$folder/updates"
    state=$(jq -r .status "$folder/body")
    [ "$state" = COMPLETED ] || ((SECONDS < end)) || { fal -X PUT "$(about)/cancel"; kind=timeout && return 1; }
    [ "$state" = COMPLETED ] || sleep 0.2
  done
  fal "$(about)" && json
}

stream() { # the data of each event; sed and jq know the simple form of events only
  job -c .input | post -N -H 'Accept: text/event-stream' "https://fal.run/$endpoint/stream" || return 1
  sed -n 's/^data: \?//p' "$folder/body" | jq -cs . >"$folder/events" 2>"$folder/why" || { kind=other && return 1; }
  jq '.[-1]' "$folder/events" >"$folder/body"
}

upload() {
  job '{content_type, file_name}' | post 'https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3' && json || return 1
  local to url=$(jq .file_url "$folder/body")
  to=$(jq -r .upload_url "$folder/body")
  job -r .data_base64 | base64 -d >"$folder/file"
  ask -X PUT -H "Content-Type: $(job -r .content_type)" --data-binary "@$folder/file" "$to" && echo "$url" >"$folder/body"
}

while IFS= read -r line; do
  rm -f "$folder"/* && touch "$folder"/{body,updates,why} && status=0 kind=other
  printf '%s\n' "$line" >"$folder/job" && echo null >"$folder/events"
  endpoint=$(job -r '.endpoint // empty') id=$(job -r '.request_id // empty') patience=$(option timeout_s)
  patience=${patience:-8}
  case $(job -r .op) in
    run) job -c .input | post "https://fal.run/$endpoint" && json ;;
    submit) submit ;;
    status) fal "$(about)/status?logs=$(option "with_logs // false | tostring")" && json ;;
    result) fal "$(about)" && json ;;
    cancel) fal -X PUT "$(about)/cancel" && json ;;
    subscribe) subscribe ;;
    stream) stream ;;
    upload) upload ;;
    *) job -c '{id, unsupported: true, reason: "curl alone can not do it"}' && continue ;;
  esac && ok=true || ok=false
  jq -cn --slurpfile job "$folder/job" --argjson ok $ok --arg id "$id" --arg kind "$kind" --arg status "$status" \
    --rawfile text "$folder/body" --rawfile why "$folder/why" --slurpfile updates "$folder/updates" \
    --slurpfile events "$folder/events" '($text | try fromjson catch null) as $body | {id: $job[0].id, ok: $ok} + if $ok
    then {request_id: $id, result: $body, updates: $updates, events: $events[0]}
    else {error: {kind: (if $status == "422" then "validation" else $kind end), status: ($status | tonumber? // null),
      message: ((if $body then ($body | tojson) else $text end) + $why), error_type: ($body | .error_type? // null)}} end'
done
