'use strict'

// Ids as nodes of 0.x may have them: any text, and numbers.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Network } = require('../support/network')
const { startOwn } = require('../support/nodes')
const { poll } = require('../support/wait')
const { dial } = require('../support/wire')

const ODD = [
  'Mathew Franqui',
  'Jürgen',
  '日本',
  'a"b',
  'a\\b',
  'x'.repeat(65),
  'x'.repeat(300),
  'tab\there',
  '😀',
  42,
]

/** A line of nodes with those ids; everyone hears everyone once. */
async function line(t, kinds, ids) {
  const network = new Network(t)
  for (const [index, kind] of kinds.entries()) {
    const isEnd = index === 0 || index === kinds.length - 1
    const limits = { minPeerNo: 1, maxPeerNo: isEnd ? 1 : 2 }
    const node = await network.add(kind, { id: ids[index], ...limits })
    // Others know a number as a text.
    node.id = String(node.id)
  }
  for (let index = 1; index < kinds.length; index++) {
    await network.nodes[index - 1].addPeer(network.nodes[index])
  }
  await network.together()
  await network.everyoneHearsEveryone('odd', 2)
  return network
}

describe('a node with an odd id', { concurrency: 2 }, () => {
  for (const id of ODD) {
    const name = JSON.stringify(id).slice(0, 20)
    test(`${name}: links, and is heard through a third node, whichever is the old one`, async (t) => {
      await line(t, ['legacy', 'ours', 'legacy'], [id, 'middle', 'end'])
      await line(t, ['ours', 'legacy', 'ours'], [String(id), 'middle', 'end'])
      await line(t, ['legacy', 'ours', 'ours', 'legacy'], ['first', String(id), 'third', 'last'])
    })
  }

  test('an id with a dash is heard by our nodes, though not by old ones', async (t) => {
    const network = new Network(t)
    const old = await network.add('legacy', { id: 'a-b', minPeerNo: 1 })
    const near = await network.add('ours', { id: 'c-d', minPeerNo: 1 })
    const far = await network.add('ours', { minPeerNo: 1 })
    await near.addPeer(old)
    await far.addPeer(near)
    await network.together()
    await old.write('from the old one')
    await near.write('from ours')
    const hears = (node, line) => node.chunks.filter((other) => other === line).length === 1
    const all = () =>
      [near, far].every((node) => hears(node, 'from the old one')) &&
      [old, far].every((node) => hears(node, 'from ours'))
    await network.until(all, 5000, 'both are heard')
    assert.equal(far.peers.includes('c-d'), true)
  })
})

test('a node with an unusable id is refused, and the application is told', async (t) => {
  const node = await startOwn(t)
  const refused = []
  node.on('refused', ({ reason }) => refused.push(reason))
  const ids = ['', null, { a: 1 }, 'x'.repeat(513)]
  for (const [index, id] of ids.entries()) {
    for (const kind of ['handshake', 'peer request']) {
      const wire = await dial(node.options.port)
      t.after(() => wire.destroy())
      wire.send(kind, { id, remoteAddress: '127.0.0.1', remotePort: 9 })
      await wire.until(() => wire.ended, 2000, 'the connection is closed')
      assert.deepEqual(wire.lines, [])
    }
    await poll(() => refused.length === 2 * index + 2, 2000, `refused ${JSON.stringify(id)}`)
  }
  assert.deepEqual(new Set(refused), new Set(['id']))
})
