// node ai.mjs CASE VERSION [FOLDER]: runs one case of Vercel's AI SDK 5, 6 or 7 with its fal provider and prints
// the result as JSON. The case `media` writes what it gets to FOLDER.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [, , name, version, folder] = process.argv
const packages = { 5: ['ai-v5', 'ai-sdk-fal-v1'], 6: ['ai', '@ai-sdk/fal'], 7: ['ai-v7', 'ai-sdk-fal-v3'] }
const [ai, { fal }] = await Promise.all(packages[version].map((name) => import(name)))
const [generateImage, generateSpeech, transcribe] = ['generateImage', 'generateSpeech', 'transcribe'].map(
  (name) => ai[name] ?? ai[`experimental_${name}`],
)
const { experimental_generateVideo: generateVideo } = ai // from 6 on

const cases = {
  async image() {
    const { images, providerMetadata, warnings } = await generateImage({
      model: fal.image('fal-ai/flux/schnell'), prompt: 'a cat', size: '512x512', seed: 7, n: 2,
    })
    const files = images.map(({ mediaType, uint8Array }) => [mediaType, uint8Array.length])
    return { files, metadata: providerMetadata.fal, warnings }
  },
  invalid: () => failure(generateImage({
    model: fal.image('fal-ai/flux/schnell'), prompt: 'a cat', maxRetries: 0,
    providerOptions: { fal: { numInferenceSteps: 28 } },
  })),
  // Not a video model: there is no video in its result.
  noVideo: () => failure(generateVideo({
    model: fal.video('flux/schnell'), prompt: 'a cat', maxRetries: 0,
    providerOptions: { fal: { pollIntervalMs: 1 } },
  })),
  // The transcript is that of the speech.
  async media() {
    const { audio } = await generateSpeech({
      model: fal.speech('fal-ai/minimax/speech-02-hd'), text: 'The cat sat on the mat, and the dog slept.',
    })
    writeFileSync(join(folder, 'speech'), audio.uint8Array)
    const { text, segments, language, durationInSeconds } = await transcribe({
      model: fal.transcription('whisper'), audio: audio.uint8Array,
    })
    const { image } = await generateImage({
      model: fal.image('fal-ai/qwen-image'), prompt: 'a cat', aspectRatio: '16:9',
    })
    writeFileSync(join(folder, 'image'), image.uint8Array)
    return {
      speech: [audio.mediaType, audio.format], image: image.mediaType, video: generateVideo && await video(),
      transcript: { text, segments, language, durationInSeconds },
    }
  },
}

async function video() {
  const { video, providerMetadata } = await generateVideo({
    model: fal.video('veo3/fast'), prompt: 'a cat', aspectRatio: '9:16', duration: 4,
    providerOptions: { fal: { pollIntervalMs: 10 } }, // 6
    poll: { intervalMs: 10 }, // 7
  })
  writeFileSync(join(folder, 'video'), video.uint8Array)
  return { mediaType: video.mediaType, metadata: providerMetadata.fal }
}

async function failure(promise) {
  try {
    return { unexpected: await promise }
  } catch (error) {
    return { name: error.name, message: error.message, statusCode: error.statusCode }
  }
}

console.log(JSON.stringify(await cases[name]()))
