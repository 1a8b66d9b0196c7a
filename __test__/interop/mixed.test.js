'use strict'

// One network of nodes of this project and of smokesignal@0.2.2, in real processes.

const assert = require('node:assert/strict')
const { describe, test } = require('node:test')
const { Network } = require('../support/network')

/** What a node may log when the process of another is killed: a link or a dial that breaks. */
const BROKEN_CONNECTION =
  /^(Error in socket \w+|An error occured while establishing connection to new peer at "[\d.]+:\d+") (ECONNRESET|EPIPE)/

const mixes = [
  ['ours', 'ours', 'legacy', 'legacy'],
  ['ours', 'legacy', 'ours', 'legacy'],
  ['legacy', 'legacy', 'ours', 'ours'],
  ['legacy', 'ours', 'legacy', 'ours'],
  ['ours', 'ours', 'ours', 'legacy'],
  ['legacy', 'ours', 'ours', 'ours'],
  ['ours', 'legacy', 'legacy', 'legacy'],
  ['legacy', 'legacy', 'legacy', 'ours'],
]

describe('a mixed network', () => {
  for (const kinds of mixes) {
    test(`${kinds[0]} as seed, ${kinds.slice(1)}: all hear all once, whichever node is killed`, async (t) => {
      const network = await Network.grow(t, kinds)
      await network.everyoneHearsEveryone('first')
      network.assertHealthy()
      for (let victim = 0; victim < kinds.length; victim++) {
        const dead = network.nodes[victim]
        await network.kill(dead)
        await network.everyoneHearsEveryone(`without ${victim}`)
        await network.replace(dead)
      }
      await network.everyoneHearsEveryone('last')
      network.assertHealthy(BROKEN_CONNECTION)
    })
  }
})

describe('a relay of the other kind', { concurrency: 2 }, () => {
  const lines = [
    ['ours', 'legacy', 'ours'],
    ['legacy', 'ours', 'legacy'],
    ['legacy', 'ours', 'ours', 'legacy'],
    ['ours', 'legacy', 'legacy', 'ours'],
    ['ours', 'legacy', 'ours', 'legacy'],
  ]
  for (const kinds of lines) {
    test(`${kinds.join(' - ')}: every message reaches every other node once`, async (t) => {
      const network = await Network.line(t, kinds)
      await network.everyoneHearsEveryone('line', 20)
      network.assertHealthy()
    })
  }
})

describe('direct events', () => {
  test('reach a legacy peer, and those of a legacy peer reach us', async (t) => {
    const network = await Network.line(t, ['ours', 'legacy'])
    const [ours, legacy] = network.nodes
    await ours.command('direct', { to: legacy.id, event: ['chat', 'to you', { deep: [1, null] }] })
    await legacy.command('direct', { to: ours.id, event: ['chat', 'and back'] })
    await ours.command('direct', { to: legacy.id, event: ['chat'] })
    await network.until(() => legacy.directs.length === 2 && ours.directs.length === 1, 5000)
    assert.deepEqual(
      { ours: ours.directs, legacy: legacy.directs },
      {
        ours: [{ from: legacy.id, event: ['chat', 'and back'] }],
        legacy: [
          { from: ours.id, event: ['chat', 'to you', { deep: [1, null] }] },
          { from: ours.id, event: ['chat'] },
        ],
      },
    )
    network.assertHealthy()
  })
})
