'use strict'

// Twenty running nodes are given another secret, one after the other, while all of them send.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { isTogether } = require('../support/graph')
const { freePorts } = require('../support/ports')
const { RemoteNode, killAll } = require('../support/process')
const { Watched, pause } = require('../support/wait')

const COUNT = 20
const PATIENCE = 30_000
/** How often each node broadcasts, in ms. */
const PACE = 200
const CURRENT = 'the current words'
const NEXT = 'the next words'
/** What the nodes have, one rollout after the other. */
const ROLLOUTS = [[NEXT, CURRENT], NEXT]

class Fleet extends Watched {
  constructor(nodes) {
    super()
    this.nodes = nodes
    // By node: the life that it is in, and what it has sent in each.
    this.lives = nodes.map(() => 0)
    this.sent = new Map()
    // By node: how much it had heard when each of its lives ended.
    this.cuts = nodes.map(() => [])
    for (const node of nodes) node.on('changed', () => this.changed())
  }

  dump() {
    return this.nodes.map((node) => node.dump()).join('\n----\n')
  }

  name(index) {
    return `${index}.${this.lives[index]}`
  }

  /** Has the nodes that run send a number each. */
  async send() {
    const running = this.nodes.map((_, index) => index).filter((index) => !this.isAway?.(index))
    await Promise.all(running.map((index) => this.sendOne(index)))
  }

  async sendOne(index) {
    const name = this.name(index)
    const number = this.sent.get(name) ?? 0
    this.sent.set(name, number + 1)
    await this.nodes[index].broadcast(['chat', name, number])
  }

  async restart(index, secret) {
    const node = this.nodes[index]
    this.isAway = (other) => other === index
    await this.settled
    await node.command('stop', {}, PATIENCE)
    this.lives[index]++
    this.cuts[index].push(node.events.length)
    node.options.secret = secret
    const before = node.history.length
    await node.begin()
    const isIn = () => node.history.slice(before).some(({ t }) => t === 'connect')
    await node.until(isIn, PATIENCE, `node ${index} is in again`)
    this.isAway = undefined
    // What was sent before it joined is not for it: the next one goes when it has heard of all.
    const others = this.nodes.map((_, other) => this.name(other)).filter((_, at) => at !== index)
    const hears = () => {
      const names = new Set(node.events.slice(this.cuts[index].at(-1)).map(([, name]) => name))
      return others.every((name) => names.has(name))
    }
    await node.until(hears, PATIENCE, `node ${index} hears all others`)
  }
}

/** The numbers that a node heard in each life of its own of each life of another, as they came. */
function heardBy(node, cuts) {
  const ends = [...cuts, node.events.length]
  return ends.map((end, life) => {
    const heard = new Map()
    for (const [, name, number] of node.events.slice(ends[life - 1] ?? 0, end)) {
      if (!heard.has(name)) heard.set(name, [])
      heard.get(name).push(number)
    }
    return heard
  })
}

test('a secret is changed node by node: nobody is outside, and nothing is lost', {
  timeout: 300_000,
}, async (t) => {
  const ports = await freePorts(COUNT)
  const seeds = ports.slice(0, 3).map((port) => `127.0.0.1:${port}`)
  const nodes = ports.map((port) => {
    return new RemoteNode('ours', { address: '127.0.0.1', port, seeds, secret: CURRENT })
  })
  t.after(() => killAll(nodes))
  const fleet = new Fleet(nodes)
  await Promise.all(nodes.map((node) => node.ready(PATIENCE)))
  for (const node of nodes) await node.begin()
  await fleet.until(() => isTogether(nodes), PATIENCE, 'one network')
  const began = nodes.map((node) => node.history.length)

  let isOver = false
  const traffic = (async () => {
    while (!isOver) {
      fleet.settled = fleet.send()
      await fleet.settled
      await pause(PACE)
    }
  })()
  for (const secret of ROLLOUTS) {
    for (let index = 0; index < COUNT; index++) await fleet.restart(index, secret)
    await fleet.until(() => isTogether(nodes), PATIENCE, 'one network again')
  }
  isOver = true
  await traffic

  // Of each life, ended or not, everyone has heard the last number.
  const heard = () => nodes.map((node, index) => heardBy(node, fleet.cuts[index]))
  const isLast = (lives, name) => {
    return lives.some((life) => life.get(name)?.at(-1) === fleet.sent.get(name) - 1)
  }
  const missing = () => {
    return heard().flatMap((lives, index) => {
      const others = [...fleet.sent.keys()].filter((name) => !name.startsWith(`${index}.`))
      return others.filter((name) => !isLast(lives, name)).map((name) => `${name} at ${index}`)
    })
  }
  await fleet
    .until(() => missing().length === 0, PATIENCE, 'all is heard')
    .catch((error) => {
      assert.deepEqual(missing(), [], error.message.slice(0, 200))
    })
  for (const [index, lives] of heard().entries()) {
    for (const [name, numbers] of lives.flatMap((life) => [...life])) {
      const expected = numbers.map((_, at) => numbers[0] + at)
      assert.deepEqual(numbers, expected, `node ${index} heard ${name} once and in order`)
    }
  }
  for (const [index, node] of nodes.entries()) {
    const told = node.history.slice(began[index]).map(({ t }) => t)
    assert.ok(!told.includes('outside'), `node ${index} was outside`)
    assert.deepEqual(node.uncaught, [])
  }
  t.diagnostic(
    `${[...fleet.sent.values()].reduce((a, b) => a + b)} messages in ${fleet.sent.size} lives`,
  )
})
