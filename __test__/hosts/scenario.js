'use strict'

// Twenty nodes on twenty hosts: they join, the network is cut in two, the cut is mended, half of
// them are killed; some speak all the while. The hosts are network namespaces on two switches, and
// the cut is the cable between these. The tests of this folder play it once for each mixture of
// nodes, `npm run bench:hosts` several times.

const assert = require('node:assert/strict')
const { performance } = require('node:perf_hooks')
const { Flock, seeded } = require('../support/flock')
const { isTogether, knowEachOther, reached } = require('../support/graph')
const { Lan } = require('../support/namespaces')

const HALF = 10
const PORT = 8495
const ADDRESSES = Array.from({ length: 2 * HALF }, (_, host) => `10.20.0.${host + 1}`)
/** One in each half. Every node is given both, as the same configuration goes to all. */
const SEED_HOSTS = [0, HALF]
const SEEDS = SEED_HOSTS.map((host) => ({ address: ADDRESSES[host], port: PORT }))
const [MIN_PEERS, MAX_PEERS] = [3, 5]
/** Broadcasts a second of each that speaks. */
const RATE = 20
/** More than anybody says in a run; what they have said by its end is what counts. */
const ENDLESS = 1e6
/** For a step that does not end. */
const PATIENCE = 30000
/** For all steps of the cut, and for mending it: broadcasts are kept for 30 s. */
const PATIENCE_CUT = 15000
/** For lists of members, from the moment at which the network has changed, in ms. */
const PATIENCE_MEMBERS = 8000
/** How often it is looked whether all have heard something. */
const EVERY = 50

/** What a run measures, in seconds, and the goals of an overlay. */
const STEPS = [
  { name: 'converged', goal: 5, what: 'all have peers, and everyone hears everyone' },
  { name: 'members joined', goal: 5, what: 'all know all as members' },
  { name: 'noticed first', what: 'the first node tells of a netsplit' },
  { name: 'noticed', goal: 6, what: 'all nodes tell of it' },
  { name: 'members cut', goal: 8, what: 'all know those of their half as members' },
  { name: 'halves whole', what: 'each half is whole, and everyone in it hears everyone in it' },
  { name: 'healed', goal: 5, what: 'from the mending on: whole, and everyone hears everyone' },
  { name: 'members healed', goal: 5, what: 'all know all as members again' },
  { name: 'whole again', goal: 5, what: 'the same after half of them were killed' },
  { name: 'members halved', goal: 8, what: 'the survivors know each other only' },
]

/** The kinds of the nodes, by host. */
const NETWORKS = {
  native: ADDRESSES.map(() => 'ours'),
  mixed: ADDRESSES.map((_, host) => ([3, 6, 9].includes(host % HALF) ? 'legacy' : 'ours')),
}

/** Plays it once; resolves to the seconds of each step, by name. */
async function play(kinds, { seed, say = () => {} }) {
  const lan = await Lan.create(ADDRESSES, { switches: 2 })
  const flock = new Flock()
  try {
    return await new Run(lan, flock, seeded(seed), say).play(kinds)
  } finally {
    await flock.end()
    await lan.destroy()
  }
}

class Run {
  #times = {}
  #began = 0

  constructor(lan, flock, random, say) {
    Object.assign(this, { lan, flock, random, say })
  }

  async play(kinds) {
    await this.#prepare(kinds)
    await this.#join()
    this.#cast()
    await this.#speak()
    await this.#cut()
    await this.#mend()
    await this.#killHalf()
    await this.#reckon()
    return this.#times
  }

  #start() {
    this.#began = performance.now()
  }

  /** What is left of the time for a cut, or for mending it. */
  #left() {
    return PATIENCE_CUT - (performance.now() - this.#began)
  }

  #took(name) {
    const seconds = (performance.now() - this.#began) / 1000
    this.#times[name] = seconds
    this.say(`${name}: ${seconds.toFixed(2)} s`)
  }

  async #prepare(kinds) {
    const { flock, lan } = this
    this.isMixed = kinds.includes('legacy')
    const options = { port: PORT, seeds: SEEDS, minPeerNo: MIN_PEERS, maxPeerNo: MAX_PEERS }
    this.halves = [[], []]
    for (const [host, { namespace, address }] of lan.hosts.entries()) {
      const node = flock.prepare(kinds[host], { ...options, address }, { namespace })
      this.halves[Math.floor(host / HALF)].push(node)
    }
    this.seeds = SEED_HOSTS.map((host) => flock.nodes[host])
    await Promise.all(flock.nodes.map((node) => node.ready(PATIENCE)))
  }

  async #join() {
    const { flock, seeds } = this
    for (const seed of seeds) await seed.begin()
    this.#start()
    const newcomers = flock.nodes.filter((node) => !seeds.includes(node))
    await Promise.all(newcomers.map((node) => node.begin()))
    await this.#everyoneHearsEveryone('joined', PATIENCE)
    this.#took('converged')
    await this.#everyoneKnows([flock.nodes], 'members joined')
  }

  /** The members that each knows are those of its part. Only where nobody is of an older version. */
  async #everyoneKnows(parts, step) {
    if (this.isMixed) return
    const left = this.#began + PATIENCE_MEMBERS - performance.now()
    await this.flock.until(() => parts.every(knowEachOther), left, `all know ${step}`)
    this.#took(step)
  }

  /**
   * Chooses who will be killed: half of each kind, the seed of the first half among them and that of
   * the second not, so that the others lose a seed and keep one. And who speaks: of each half two
   * that stay and one that does not, and one legacy node that stays.
   */
  #cast() {
    const { flock, halves, seeds } = this
    const legacy = flock.nodes.filter(isLegacy)
    const [doomed, safe] = seeds
    const common = flock.nodes.filter((node) => isNative(node) && !seeds.includes(node))
    this.victims = [
      doomed,
      ...this.#pick(common, (common.length + seeds.length) / 2 - 1),
      ...this.#pick(legacy, legacy.length / 2),
    ]
    this.survivors = flock.nodes.filter((node) => !this.victims.includes(node))
    assert.ok(this.survivors.includes(safe))
    const stay = (half) => half.filter((node) => isNative(node) && this.survivors.includes(node))
    const go = (half) => half.filter((node) => isNative(node) && this.victims.includes(node))
    this.speakers = [
      ...halves.flatMap((half) => [...this.#pick(stay(half), 2), ...this.#pick(go(half), 1)]),
      ...this.#pick(this.survivors.filter(isLegacy), 1),
    ]
  }

  /** A few of them, or all if there are no more. */
  #pick(nodes, count) {
    const left = [...nodes]
    const picked = []
    while (picked.length < count && left.length > 0) {
      picked.push(...left.splice(this.random.between(0, left.length - 1), 1))
    }
    return picked
  }

  /** The speakers begin, and will not end before the run does. */
  async #speak() {
    const { flock, speakers } = this
    await flock.send(speakers, ENDLESS, { rate: RATE, asLines: this.isMixed })
    // Three seconds' worth: a seed is missed by those who have heard of it, once a second.
    await flock.heard(flock.nodes, speakers, 3 * RATE, { ms: PATIENCE })
  }

  async #cut() {
    const { flock, halves, lan, seeds } = this
    const natives = halves.map((half) => half.filter(isNative))
    // Beacons do not travel through legacy nodes: others have not heard the seed beyond.
    const hearers = natives.flatMap((half, which) => {
      const inReach = reachedFrom(seeds[1 - which], flock.nodes)
      return half.filter((node) => inReach.has(node))
    })
    assert.ok(this.isMixed || hearers.length === flock.nodes.length)
    this.#start()
    await lan.trunk('down')
    const misses = (node) => lostSeeds(node).includes(this.#seedBeyond(node))
    await flock.until(() => hearers.some(misses), this.#left(), 'somebody notices the cut')
    this.#took('noticed first')
    await flock.until(() => hearers.every(misses), this.#left(), 'all notice the cut')
    this.#took('noticed')
    const missOne = (node) => lostSeeds(node).join() === this.#seedBeyond(node)
    const areWhole = () => hearers.every(missOne) && natives.every(isHalf(halves))
    await flock.until(areWhole, this.#left(), 'the halves are whole')
    await this.#everyoneKnows(halves, 'members cut')
    await Promise.all(natives.map((half) => this.#rollCall(half, 'cut', this.#left())))
    this.#took('halves whole')
  }

  async #mend() {
    const { flock, lan } = this
    this.#start()
    await lan.trunk('up')
    const natives = flock.nodes.filter(isNative)
    const areBack = () => natives.every((node) => lostSeeds(node).length === 0)
    await flock.until(areBack, this.#left(), 'everyone is told that the netsplit is resolved')
    await this.#everyoneHearsEveryone('mended', this.#left())
    this.#took('healed')
    await this.#everyoneKnows([flock.nodes], 'members healed')
    const once = ['netsplit', 'netsplit resolved']
    for (const node of natives) {
      const told = netsplits(node, this.#seedBeyond(node))
      // Beacons do not travel through legacy nodes: who has no other peers misses all seeds, until
      // it has joined one.
      const expected = this.isMixed ? told.map((_, index) => once[index % 2]) : once
      assert.deepEqual(told, expected, `what ${node.id} was told`)
    }
  }

  /** The address of the seed in the other half. */
  #seedBeyond(node) {
    const which = this.halves.findIndex((half) => half.includes(node))
    return SEEDS[1 - which].address
  }

  async #killHalf() {
    const { flock, survivors, victims } = this
    const inReach = reachedFrom(this.seeds[0], flock.nodes)
    this.#start()
    await Promise.all(victims.map((node) => node.kill()))
    flock.drop(...victims)
    await this.#everyoneHearsEveryone('halved', PATIENCE)
    this.#took('whole again')
    await this.#everyoneKnows([survivors], 'members halved')
    const [{ address }] = this.seeds
    // Beacons do not travel through legacy nodes: others have not heard the seed.
    const bereaved = survivors.filter((node) => inReach.has(node))
    assert.ok(this.isMixed || bereaved.length === survivors.length)
    const miss = () => bereaved.every((node) => lostSeeds(node).join() === address)
    await flock.until(miss, PATIENCE, 'the survivors are told of the seed that was killed')
  }

  /** The nodes that are left are one network, and hear one another. */
  async #everyoneHearsEveryone(label, ms) {
    const { flock } = this
    await flock.until(() => isWhole(flock.nodes), ms, 'one network, all with enough peers')
    await this.#rollCall(flock.nodes, label, ms)
  }

  /** Each says one thing, which all the others hear. */
  async #rollCall(nodes, label, ms) {
    const how = { ms, every: EVERY, nameOf: callOf(label) }
    const say = (node) => node.command('sayOnce', { name: how.nameOf(node), asLines: this.isMixed })
    await Promise.all(nodes.map(say))
    await this.flock.heard(nodes, nodes, 1, how)
  }

  /**
   * What everybody heard in all that time. Between native nodes: every broadcast, once and in order,
   * those of the other half during the cut too, for it was shorter than 30 s. What legacy nodes say
   * and hear is not repaired, but it never comes twice, and while the network is whole it comes.
   */
  async #reckon() {
    const { flock, survivors, victims, speakers } = this
    const anyOrder = this.isMixed
    for (const label of ['joined', 'mended', 'halved']) {
      await flock.expect(survivors, survivors, 1, { nameOf: callOf(label), anyOrder })
    }
    const natives = survivors.filter(isNative)
    const staying = speakers.filter((node) => survivors.includes(node))
    const next = await Promise.all(staying.map((node) => node.command('next')))
    const last = Math.max(...next)
    await Promise.all(staying.map((node) => node.command('sendUntil', { last })))
    await flock.expect(natives, staying.filter(isNative), last, { ms: PATIENCE })
    for (const node of natives) {
      const { skipped, lost } = await node.command('told')
      assert.deepEqual({ skipped, lost }, { skipped: 0, lost: 0 }, node.name)
    }

    const tallies = await Promise.all(survivors.map((node) => flock.tally(node)))
    for (const [index, node] of survivors.entries()) {
      for (const { id } of speakers.filter((other) => other !== node)) {
        assert.equal(tallies[index][id]?.doubles ?? 0, 0, `${node.name} heard ${id} twice`)
      }
    }
    for (const { id } of speakers.filter((node) => victims.includes(node))) {
      const heard = tallies.filter((_, index) => isNative(survivors[index])).map((all) => all[id])
      const { last } = heard[0]
      const whole = { first: 1, last, count: last, doubles: 0, holes: 0, late: 0, example: null }
      for (const entry of heard) assert.deepEqual(entry, { ...whole, missing: 0 }, `of ${id}`)
    }
    this.say(`each that stayed said ${last} things`)
    flock.assertHealthy(survivors)
  }
}

const isNative = (node) => node.kind === 'ours'

/** The native nodes that a way leads to over links of native nodes alone. */
function reachedFrom(start, nodes) {
  const natives = new Map(nodes.filter(isNative).map((node) => [node.id, node]))
  const reached = new Set([start])
  for (const { peers } of reached) {
    for (const id of peers) if (natives.has(id)) reached.add(natives.get(id))
  }
  return reached
}
const isLegacy = (node) => node.kind === 'legacy'
/** The name under which a node speaks in a roll call. */
const callOf = (label) => (node) => `${node.id}/${label}`

/** One network, in which nobody has too many peers, and no native node too few. */
function isWhole(nodes) {
  const hasEnough = (node) =>
    node.peers.length <= MAX_PEERS && (isLegacy(node) || node.peers.length >= MIN_PEERS)
  return nodes.every(hasEnough) && isTogether(nodes)
}

/**
 * Whether native nodes are whole without the other half: none has a native peer there, and all of
 * them are one network, over legacy nodes of their half, too.
 */
function isHalf(halves) {
  return (natives, which) => {
    const gone = halves[1 - which].filter(isNative)
    const [first] = natives
    const half = reached([first, ...halves[which].filter((node) => node !== first)])
    return natives.every(
      (node) => half.has(node) && !gone.some((other) => node.peers.includes(other.id)),
    )
  }
}

/** What a node was told of that seed, in order. */
function netsplits(node, address) {
  return node.history.filter(({ seed }) => seed?.address === address).map(({ t }) => t)
}

/** The addresses of the seeds that a node misses. */
function lostSeeds(node) {
  const lost = new Set()
  for (const { t, seed } of node.history) {
    if (t === 'netsplit') lost.add(seed?.address)
    if (t === 'netsplit resolved') lost.delete(seed?.address)
  }
  return [...lost]
}

module.exports = { NETWORKS, STEPS, play }
