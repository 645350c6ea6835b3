// node tanstack.mjs FOLDER: TanStack AI with its adapters of fal. Reads speech.wav in FOLDER, writes the results
// there, and prints JSON.
import {
  generateAudio, generateImage, generateSpeech, generateTranscription, generateVideo, getVideoJobStatus,
} from '@tanstack/ai'
import { falAudio, falImage, falSpeech, falTranscription, falVideo } from '@tanstack/ai-fal'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const folder = process.argv[2]
const save = (name, bytes) => writeFileSync(join(folder, name), bytes)
const download = async (name, url) => save(name, new Uint8Array(await (await fetch(url)).arrayBuffer()))

async function image() {
  const { images } = await generateImage({
    adapter: falImage('fal-ai/flux/schnell'), prompt: 'a cat', numberOfImages: 2, size: 'portrait_4_3',
  })
  await Promise.all(images.map(({ url }, number) => download(`image${number}`, url)))
  return images.length
}

async function video() {
  const adapter = falVideo('fal-ai/veo3/fast')
  const { jobId } = await generateVideo({ adapter, prompt: 'a cat', size: '16:9_720p', duration: '6s' })
  const states = []
  for (;;) {
    const { status, url } = await getVideoJobStatus({ adapter, jobId })
    states.push(status)
    if (url) {
      await download('video', url)
      return [...new Set(states)]
    }
    await setTimeout(50)
  }
}

async function speech() {
  const { audio, format, contentType } = await generateSpeech({
    adapter: falSpeech('fal-ai/kokoro/american-english'), text: 'Hello there, cat.', voice: 'af_heart',
  })
  save('speech', Buffer.from(audio, 'base64'))
  return { format, contentType }
}

async function music() {
  const { audio } = await generateAudio({ adapter: falAudio('fal-ai/lyria2'), prompt: 'a slow waltz' })
  await download('music', audio.url)
  return audio.contentType
}

async function transcript() {
  const audio = `data:audio/wav;base64,${readFileSync(join(folder, 'speech.wav')).toString('base64')}`
  const { text, segments, language } = await generateTranscription({
    adapter: falTranscription('fal-ai/whisper'), audio, language: 'en',
  })
  return { text, segments, language }
}

console.log(JSON.stringify({
  image: await image(), video: await video(), speech: await speech(), music: await music(),
  transcript: await transcript(),
}))
