// A page as anybody would write it: fal's client, the address of a proxy, and no key.
import { fal } from '@fal-ai/client'

const [draw, paint, status, pictures] = ['draw', 'paint', 'status', 'pictures'].map((id) => document.getElementById(id))

fal.config({ proxyUrl: new URLSearchParams(location.search).get('proxy') ?? '/api/fal/proxy' })

async function show(endpoint, input) {
  status.textContent = 'asked'
  try {
    const { data, requestId } = await fal.subscribe(endpoint, {
      input: await input(),
      logs: true,
      pollInterval: 50,
      onQueueUpdate: (update) => (status.textContent = update.status),
    })
    const figure = document.createElement('figure')
    const image = Object.assign(new Image(), { src: data.images[0].url, alt: data.prompt })
    figure.append(image, Object.assign(document.createElement('figcaption'), { textContent: requestId }))
    pictures.append(figure)
    await image.decode()
    status.textContent = 'done'
    paint.disabled = false
  } catch (error) {
    status.textContent = `${error.name}: ${error.message}`
  }
}

draw.onclick = () => show('fal-ai/flux/schnell', () => ({
  prompt: 'a cat on a red chair', seed: 7, image_size: { width: 640, height: 480 },
}))

// The picture itself goes along: the client uploads what is a Blob.
paint.onclick = () => show('fal-ai/flux/dev/image-to-image', async () => {
  const picture = await fetch(pictures.querySelector('img').src)
  return { prompt: 'the same cat, at night', image_url: await picture.blob() }
})
