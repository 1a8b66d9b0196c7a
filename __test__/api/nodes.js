'use strict'

const { createNode } = require('../..')
const { event, poll } = require('../support/wait')

/** A listening node on a free port, stopped after the test. */
async function startNode(t, options = {}) {
  const node = createNode({ address: '127.0.0.1', ...options })
  t.after(() => node.stop())
  await node.start()
  return node
}

/** Two nodes that are peers of each other: {a, b, toB (a's peer), toA (b's peer)}. */
async function startPair(t, options = {}) {
  const a = await startNode(t, options)
  const b = await startNode(t, options)
  const added = event(b.peers, 'add')
  const toB = await a.addPeer('127.0.0.1', b.options.port)
  const [toA] = await added
  return { a, b, toB, toA }
}

/** Nodes of which each entered through the first one, all connected. */
async function startNetwork(t, count, options = {}) {
  const first = await startNode(t, options)
  const seeds = [{ address: '127.0.0.1', port: first.options.port }]
  const nodes = [first]
  while (nodes.length < count) {
    const node = await startNode(t, { ...options, seeds })
    nodes.push(node)
    await poll(() => node.connected && first.connected, 10_000, 'a node enters')
  }
  return nodes
}

/** Collects the arguments with which `name` is emitted until there are `count` of them. */
function collect(emitter, name, count, ms = 10_000) {
  const heard = []
  let listener
  const all = new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`${heard.length} of ${count} "${name}" within ${ms} ms`)),
      ms,
    )
    listener = (...args) => {
      heard.push(args)
      if (heard.length < count) return
      clearTimeout(timer)
      emitter.removeListener(name, listener)
      resolve(heard)
    }
    emitter.on(name, listener)
  })
  return all
}

module.exports = { collect, startNetwork, startNode, startPair }
