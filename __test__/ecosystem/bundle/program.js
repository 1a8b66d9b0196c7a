'use strict'

// What a program does that a bundler, a flag or a test runner could come between. Says what it saw.

const { once } = require('node:events')
const { PassThrough, Readable, pipeline } = require('node:stream')
const { createNode } = require('smokesignal')

const address = '127.0.0.1'
const NAMES = ['close', 'end', 'error', 'finish', 'drain']

async function main() {
  const [a, b] = [createNode({ address }), createNode({ address })]
  await Promise.all([a.start(), b.start()])
  const added = once(b.peers, 'add')
  await a.addPeer(address, b.options.port)
  await added
  const saw = {
    values: await values(a, b),
    ...(await events(a, b)),
    drained: await drained(a, b),
  }
  await Promise.all([a.stop(), b.stop()])
  console.log(JSON.stringify(saw))
}

async function values(a, b) {
  const heard = once(b.broadcast, 'value')
  a.broadcast.emit('value', { at: new Date(0), data: Buffer.from('bytes') })
  const [{ at, data }] = await heard
  return [at, Buffer.isBuffer(data) && String(data)]
}

/** Remote events named like a stream's: an application hears them, a pipeline does not. */
async function events(a, b) {
  let outcome = 'goes on'
  pipeline(new PassThrough(), b.broadcast, new PassThrough(), (error) => {
    outcome = `ended: ${error?.code}`
  })
  const heard = []
  // As an application may: in a callback of a stream.
  const stream = new PassThrough()
  stream.on('data', () => {
    for (const name of NAMES) b.broadcast.on(name, () => heard.push(name))
  })
  stream.write('go')
  await new Promise(setImmediate)
  // Not by events.once, which listens for 'error', too.
  const over = new Promise((resolve) => b.broadcast.on('over', resolve))
  for (const name of NAMES) a.broadcast.emit(name, 'the shop')
  a.broadcast.emit('over')
  await over
  for (const name of NAMES) b.broadcast.removeAllListeners(name)
  return { heard, pipeline: outcome }
}

/** A source that pauses for 'drain', with listeners added in its own callback. */
async function drained(a, b) {
  const count = 400
  let bytes = 0
  const all = new Promise((resolve) => {
    b.broadcast.on('chunk', (chunk) => {
      bytes += chunk.length
      if (bytes === count * 65536) resolve()
    })
  })
  const source = Readable.from(Array(count).fill(Buffer.alloc(65536)))
  source.on('data', (chunk) => {
    if (a.broadcast.emit('chunk', chunk)) return
    source.pause()
    a.broadcast.once('drain', () => source.resume())
  })
  await once(source, 'end')
  await all
  return bytes
}

main()
