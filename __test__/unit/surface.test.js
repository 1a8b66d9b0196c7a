'use strict'

const assert = require('node:assert/strict')
const { EventEmitter } = require('node:events')
const fs = require('node:fs')
const path = require('node:path')
const { Duplex, Stream, Writable } = require('node:stream')
const { test } = require('node:test')
const timers = require('node:timers')
const smoke = require('../..')
const { fakeBinding } = require('./fake-binding')
const { fakeNetwork, fakeNode, settled } = require('./fake-node')

const ROOT = path.join(__dirname, '..', '..')

/** The names of an object's members, including inherited ones. */
function surface(object) {
  const names = new Set()
  for (let at = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name)
  }
  return names
}

/** The names of all that an application could reach in 0.2.2, as in its documentation. */
async function legacySurface() {
  // It warns about deprecated parts of Node.js.
  const { noDeprecation } = process
  process.noDeprecation = true
  const legacy = require('smokesignal-legacy')
  const LegacyPeer = require('smokesignal-legacy/lib/peer')
  const node = legacy.createNode({ address: '127.0.0.1', port: 0 })
  node.start()
  await new Promise((resolve) => node.server.once('listening', resolve))
  const socket = Object.assign(new EventEmitter(), { data() {} })
  const peer = new LegacyPeer(node, 'abc', socket)
  const { peers, broadcast, options } = node
  const objects = { module: legacy, node, options, peers, broadcast, peer }
  const names = Object.entries(objects).map(([name, object]) => [name, surface(object)])
  node.stop()
  process.noDeprecation = noDeprecation
  return Object.fromEntries(names)
}

test('everything of 0.2.2 exists, except for the list in the migration guide', async (t) => {
  const { node, peer } = await fakeNetwork(t)
  const { peers, broadcast, options } = node
  const objects = { module: smoke, node, options, peers, broadcast, peer }
  const old = await legacySurface()
  const gone = Object.entries(objects).flatMap(([name, object]) => {
    const now = surface(object)
    return [...old[name]].filter((member) => !now.has(member)).map((member) => `${name}.${member}`)
  })
  const isListed = (name) => !/\._|\.asIndexedPairs$/.test(name)
  const guide = fs.readFileSync(path.join(ROOT, 'docs', 'migration.md'), 'utf8')
  const table = guide.slice(guide.indexOf('## What is gone'))
  const listed = [...table.matchAll(/^[|] `([\w.]+)`/gm)].map(([, name]) => name)
  assert.deepEqual(gone.filter(isListed).sort(), listed.sort())
})

test('channels are streams', async (t) => {
  const { node, peer } = await fakeNetwork(t)
  for (const channel of [node.broadcast, peer]) {
    assert.ok(channel instanceof Stream)
    assert.ok(channel instanceof Writable)
    assert.ok(channel instanceof EventEmitter)
    assert.ok(channel.stream instanceof Duplex)
    assert.equal(channel.closed, false)
  }
})

test("an application's own events on a node stay local", async (t) => {
  const { native, node } = await fakeNetwork(t)
  const heard = []
  node.on('ready', function (since) {
    heard.push([this === node, since])
  })
  node.peers.on('mine', (what) => heard.push(what))
  node.emit('ready', 1)
  node.peers.emit('mine', 2)
  assert.deepEqual(heard, [[true, 1], 2])
  assert.deepEqual(native.calls, [])
})

test('changed options take effect, and are checked, at the next start', async () => {
  const { node, native } = fakeNode()
  node.options.seeds = false
  node.options.maxPeerNo = '7'
  node.start()
  const [, { seeds, maxPeerNo }] = native.calls[0]
  assert.deepEqual([seeds, maxPeerNo], [[], 7])
  native.push({ t: 'listening', port: 4000 }, { t: 'stopped' })
  await node.stop()
  node.options.seeds.push({ port: 14 })
  node.options.maxPeerNo = -1
  assert.throws(() => node.start(), { code: 'ERR_SMOKE_OPTION', option: 'maxPeerNo' })
  node.options.maxPeerNo = 7
  node.start()
  assert.deepEqual(native.calls.at(-1)[1].seeds, [{ address: 'localhost', port: 14 }])
  native.push({ t: 'listening', port: 4000 }, { t: 'stopped' })
  await node.stop()
})

test('seeds and maxPeerNo can be changed while the node runs', async (t) => {
  let look
  t.mock.method(timers, 'setInterval', (callback) => {
    look = callback
    return { unref() {}, ref() {} }
  })
  delete require.cache[require.resolve('../../lib/globals')]
  delete require.cache[require.resolve('../../lib/lifeline')]
  delete require.cache[require.resolve('../../lib/node')]
  const { Node } = require('../../lib/node')
  const warnings = []
  const binding = fakeBinding()
  const logger = { warn: (message) => warnings.push(message) }
  const node = new Node({ address: '127.0.0.1', logger }, binding)
  const native = binding.last
  node.start()
  native.push({ t: 'listening', port: 4000 })
  await settled()
  native.calls = []
  look()
  assert.deepEqual(native.calls, [], 'nothing was changed')
  node.options.seeds.push({ address: '127.0.0.1', port: '14' })
  look()
  node.options.maxPeerNo = Infinity
  look()
  look()
  node.options.maxPeerNo = -1
  look()
  const seeds = [{ address: '127.0.0.1', port: 14 }]
  assert.deepEqual(native.calls, [
    ['reconfigure', 5, seeds, '127.0.0.1'],
    ['reconfigure', Infinity, seeds, '127.0.0.1'],
  ])
  assert.deepEqual(warnings, [
    'the change of options is ignored: "maxPeerNo" option must be at least 1, not -1',
  ])
  node.options.maxPeerNo = 5
  native.push({ t: 'stopped' })
  await settled()
  assert.equal(node.listening, false)
})
