'use strict'
// Topics: the name of an event is the topic, and a listener is a subscription.
//
//   node example/pubsub.js sub weather sport      prints what is published
//   echo sunny | node example/pubsub.js pub weather

const { once } = require('node:events')
const readline = require('node:readline')
const { startLocal } = require('./local')

const [mode, ...topics] = process.argv.slice(2)

function subscribe(node) {
  for (const topic of topics) node.broadcast.on(topic, (text) => console.log(`${topic}: ${text}`))
}

/** Publishes each line of the input, then leaves. `stop()` hands over what was emitted. */
async function publish(node) {
  if (!node.connected) await once(node, 'connect')
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (!node.broadcast.emit(topics[0], line)) await once(node.broadcast, 'drain')
  }
  await node.stop()
}

if ((mode !== 'sub' && mode !== 'pub') || topics.length === 0) {
  console.error('usage: pubsub.js sub TOPIC... | pubsub.js pub TOPIC')
  process.exit(2)
}
startLocal(mode === 'sub' ? subscribe : () => {}).then(mode === 'pub' ? publish : undefined)
