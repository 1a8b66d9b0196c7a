'use strict'
// A file for one peer. The sender waits while the receiver's disk is slow.
//
//   node example/streams.js receive copy.bin
//   node example/streams.js send original.bin

const fs = require('node:fs')
const { pipeline } = require('node:stream/promises')
const { startLocal } = require('./local')

const [mode, file] = process.argv.slice(2)

/** A channel's stream has no end, so an event says how many bytes follow. */
async function send(peer) {
  peer.once('close', () => peer.node.stop())
  peer.emit('file', fs.statSync(file).size)
  await pipeline(fs.createReadStream(file), peer)
}

function receive(peer) {
  peer.once('file', async (size) => {
    await pipeline(bytes(peer, size), fs.createWriteStream(file))
    console.log(`${size} bytes saved`)
    await peer.node.stop()
  })
}

/** The first `size` bytes of a peer's stream. Leaving the loop closes the link. */
async function* bytes(peer, size) {
  let left = size
  if (left === 0) return
  for await (const chunk of peer) {
    yield chunk
    left -= chunk.length
    if (left === 0) return
  }
}

if ((mode !== 'send' && mode !== 'receive') || file === undefined) {
  console.error('usage: streams.js send FILE | streams.js receive FILE')
  process.exit(2)
}
startLocal((node) => node.peers.once('add', mode === 'send' ? send : receive))
