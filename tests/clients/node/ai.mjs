// node ai.mjs CASE: runs one case of Vercel's AI SDK with its fal provider and prints the result as JSON.
import { fal } from '@ai-sdk/fal'
import { experimental_generateVideo as generateVideo, generateImage } from 'ai'

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
  // Flux has no video: this case tests how the SDK polls.
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

console.log(JSON.stringify(await cases[process.argv[2]]()))
