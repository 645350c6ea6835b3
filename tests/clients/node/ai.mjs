// node ai.mjs STORY: one story of Vercel's AI SDK with its fal provider; prints what it saw as JSON.
import { fal } from '@ai-sdk/fal'
import { experimental_generateVideo as generateVideo, generateImage } from 'ai'

const stories = {
  async image() {
    const { images, providerMetadata, warnings } = await generateImage({
      model: fal.image('fal-ai/flux/schnell'), prompt: 'a cat', size: '512x512', seed: 7, n: 2,
    })
    const told = images.map(({ mediaType, uint8Array }) => [mediaType, uint8Array.length])
    return { told, metadata: providerMetadata.fal, warnings }
  },
  invalid: () => failure(generateImage({
    model: fal.image('fal-ai/flux/schnell'), prompt: 'a cat', maxRetries: 0,
    providerOptions: { fal: { numInferenceSteps: 28 } },
  })),
  // There is no video to be had from flux: what counts here is how the SDK waits for it.
  video: () => failure(generateVideo({
    model: fal.video('flux/schnell'), prompt: 'a cat', maxRetries: 0,
    providerOptions: { fal: { pollIntervalMs: 1 } },
  })),
}

async function failure(promise) {
  try {
    return { unexpected: await promise }
  } catch (error) {
    return { name: error.name, message: error.message, statusCode: error.statusCode }
  }
}

console.log(JSON.stringify(await stories[process.argv[2]]()))
