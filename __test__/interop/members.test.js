'use strict'

// Members and requests in processes of their own: a ring, and among nodes of 0.2.2.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { knowEachOther, knowTheirPart } = require('../support/graph')
const { Network } = require('../support/network')

test('eight nodes in a ring, three links each at most: all know and can ask all', async (t) => {
  const network = new Network(t)
  for (let n = 0; n < 8; n++) await network.add('ours', { minPeerNo: 2, maxPeerNo: 3 })
  const { nodes } = network
  for (const [n, node] of nodes.entries()) await node.addPeer(nodes[(n + 1) % 8])
  await network.until(() => knowEachOther(nodes), 10_000, 'all know all')
  assert.ok(nodes.every(({ peers }) => peers.length <= 3))
  for (const node of nodes) {
    const { replies, missing } = await node.command('askAll', { name: 'echo', args: [1] })
    assert.deepEqual(missing, [])
    assert.equal(replies.length, 7)
    for (const other of nodes) {
      const answer = await node.command('ask', { to: other.id, name: 'echo', args: [{ a: 1 }] })
      assert.deepEqual(answer, { from: node.id, args: [{ a: 1 }] })
    }
  }
  // One is killed. Without seeds the others may be two parts then; each knows its part.
  const [first, , , victim] = nodes
  const asked = first.command('ask', { to: victim.id, name: 'nothing' })
  assert.deepEqual(await asked, { code: 'ERR_SMOKE_NO_HANDLER' })
  await victim.kill()
  const survivors = nodes.filter((node) => node !== victim)
  const know = () =>
    survivors.every(({ peers }) => !peers.includes(victim.id)) && knowTheirPart(survivors)
  await network.until(know, 15_000, 'the survivors know their part')
  const gone = await first.command('ask', { to: victim.id, name: 'echo' })
  assert.deepEqual(gone, { code: 'ERR_SMOKE_UNREACHABLE' })
  network.assertHealthy()
})

test('members work among new nodes beside old ones, which are seen and not harmed', async (t) => {
  const kinds = ['ours', 'ours', 'legacy', 'ours', 'legacy']
  const network = await Network.grow(t, kinds, { minPeerNo: 3, maxPeerNo: 4 })
  const ours = network.nodes.filter(({ kind }) => kind === 'ours')
  const old = network.nodes.filter(({ kind }) => kind === 'legacy')
  const know = () =>
    ours.every(({ members }) => network.nodes.every(({ id }) => members.includes(id)))
  await network.until(know, 15_000, 'all new ones know all')
  for (const node of ours) {
    for (const { id } of old) {
      assert.equal((await node.command('member', { id })).legacy, true)
      const code = 'ERR_SMOKE_UNREACHABLE'
      assert.deepEqual(await node.command('ask', { to: id, name: 'echo' }), { code })
    }
    const { replies, missing } = await node.command('askAll', { name: 'echo' })
    assert.equal(replies.length, ours.length - 1)
    assert.deepEqual(missing, [])
  }
  await network.everyoneHearsEveryone('beside')
  network.assertHealthy()
})
