// node huggingface.mjs FOLDER: Hugging Face's client with the provider fal-ai. Reads speech.wav and picture.png in
// FOLDER, writes the results there, and prints JSON.
import { InferenceClient } from '@huggingface/inference'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

// What huggingface.co answers for the models below: the task, and the endpoint of fal that runs it.
const hub = {
  'black-forest-labs/FLUX.1-schnell': ['text-to-image', 'fal-ai/flux/schnell'],
  'black-forest-labs/FLUX.1-Kontext-dev': ['image-to-image', 'fal-ai/flux-kontext/dev'],
  'Lightricks/LTX-Video': ['text-to-video', 'fal-ai/ltx-video'],
  'ResembleAI/chatterbox': ['text-to-speech', 'fal-ai/chatterbox/text-to-speech'],
  'openai/whisper-large-v3': ['automatic-speech-recognition', 'fal-ai/whisper'],
}

// The client waits with timers that do not keep Node alive (4.13.30, `delay`): in a program with nothing else to do,
// Node ends with code 13 while a request runs.
const alive = setInterval(() => {}, 1000)

const folder = process.argv[2]
const client = new InferenceClient(process.env.FAL_KEY, {
  fetch(url, options) {
    const model = /^https:\/\/huggingface\.co\/api\/models\/(.+)\?/.exec(url)?.[1]
    if (!model) return fetch(url, options)
    const [task, providerId] = hub[model]
    return Response.json({ inferenceProviderMapping: { 'fal-ai': { providerId, status: 'live', task } } })
  },
})

async function save(name, blob) {
  writeFileSync(join(folder, name), new Uint8Array(await blob.arrayBuffer()))
  return blob.type
}

const blob = (name, type) => new Blob([readFileSync(join(folder, name))], { type })
const call = (task, model, options) => client[task]({ provider: 'fal-ai', model, ...options })

const result = {
  image: await save('image', await call('textToImage', 'black-forest-labs/FLUX.1-schnell', {
    inputs: 'a cat', parameters: { image_size: { width: 512, height: 384 }, seed: 7 },
  })),
  edited: await save('edited', await call('imageToImage', 'black-forest-labs/FLUX.1-Kontext-dev', {
    inputs: blob('picture.png', 'image/png'), parameters: { prompt: 'at night' },
  })),
  video: await save('video', await call('textToVideo', 'Lightricks/LTX-Video', { inputs: 'a cat' })),
  speech: await save('speech', await call('textToSpeech', 'ResembleAI/chatterbox', { inputs: 'Hello there, cat.' })),
  transcript: await call('automaticSpeechRecognition', 'openai/whisper-large-v3', {
    data: blob('speech.wav', 'audio/wav'),
  }),
}
clearInterval(alive)
console.log(JSON.stringify(result))
