'use strict'

const net = require('node:net')
const os = require('node:os')
const { canonicalHost, isSrv, srvName } = require('./addresses')
const { clearTimeout, setTimeout } = require('./globals')

const { isIP } = net
const LOOPBACK = '127.0.0.1'
/**
 * Documentation addresses (RFC 5737, RFC 3849). Nothing is sent there; only the route is looked up.
 */
const ELSEWHERE = ['192.0.2.1', '2001:db8::1']
/** How long the start waits for the DNS, in ms. */
const PATIENCE = 5000
/** How many answers for a name count. */
const MAX_ANSWERS = 256

/** Subnets with addresses that hold on one cable only. */
const LINK = [
  ['169.254.0.0', 16],
  ['fe80::', 10],
]
const PRIVATE = [...LINK, ['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['fc00::', 7]]

/** Resolves the names in a node's options: its own address, and its seeds. */
class Whereabouts {
  #routeTo
  #logger
  #ownAddresses
  // Names without an answer at the last look-up.
  #unknown = new Set()

  constructor(routeTo, logger, own = ownAddresses) {
    this.#routeTo = routeTo
    this.#logger = logger
    this.#ownAddresses = own
  }

  /**
   * `{address, listenHost, seeds}` for the core: at once if the options have no names, else as a
   * promise, which never rejects.
   */
  find({ address, listen, seeds }) {
    const isOne = listen.host !== null && !isAny(listen.host)
    const isAuto = address === 'auto' && !isOne
    const own = address === 'auto' && isOne ? listen.host : address
    const names = seeds.some(({ address }) => isSrv(address) || (isAuto && isIP(address) === 0))
    if (!names && (isAuto || isIP(own) !== 0)) return this.#place(own, listen, seeds, seeds)
    return this.#look(own, listen, seeds)
  }

  async #look(address, listen, given) {
    const seeds = (await Promise.all(given.map((seed) => this.#expand(seed)))).flat()
    if (address === 'auto') {
      return this.#place(address, listen, seeds, await this.#firstAddresses(seeds))
    }
    const isOwn = (seed) => seed.address.toLowerCase() === address.toLowerCase()
    const own = isIP(address) !== 0 ? address : await this.#ownAddress(address)
    // A seed with the same name is this node, if it has the same port, too.
    const others = seeds.map((seed) => (isOwn(seed) ? { ...seed, address: own } : seed))
    return this.#place(own, listen, others, others)
  }

  /** The seeds in a DNS list, or the list itself if it cannot be resolved. */
  async #expand(seed) {
    if (!isSrv(seed.address)) return seed
    const records = await this.#ask(seed.address, dns().resolveSrv(srvName(seed.address)))
    const found = records
      .sort((a, b) => a.priority - b.priority || b.weight - a.weight)
      .map(({ name, port }) => ({ address: canonicalHost(name.replace(/\.$/, '')), port }))
      .filter(({ address, port }) => address !== null && port > 0)
    return found.length > 0 ? found : seed
  }

  /** The addresses of the first seed that has any. */
  async #firstAddresses(seeds) {
    for (const { address } of seeds) {
      if (isSrv(address)) continue
      if (isIP(address) !== 0) return [{ address }]
      const found = await this.#lookUp(address)
      if (found.length > 0) return found
    }
    return []
  }

  /** The address of a name that this machine has, or else the first one, or else the name. */
  async #ownAddress(name) {
    const found = (await this.#lookUp(name)).map(({ address }) => address)
    const own = new Set(this.#ownAddresses())
    return found.find((address) => own.has(address)) ?? found[0] ?? name
  }

  async #lookUp(name) {
    const found = await this.#ask(name, dns().lookup(name, { all: true }))
    const addresses = found.map(({ address }) => ({ address: canonicalHost(address) ?? address }))
    // Nodes of 0.x support only IPv4.
    return addresses.sort((a, b) => isIP(a.address) - isIP(b.address))
  }

  /** The answers to a look-up. Warns once if there are none. */
  async #ask(name, asking) {
    let answers = []
    let reason = 'the answer is empty'
    try {
      answers = (await within(asking, PATIENCE)).slice(0, MAX_ANSWERS)
    } catch (error) {
      reason = error.code ?? error.message
    }
    if (answers.length > 0) this.#unknown.delete(name)
    else if (!this.#unknown.has(name)) {
      this.#unknown.add(name)
      this.#logger.warn(`the name ${name} has no address (${reason}): check it, and the DNS server`)
    }
    return answers
  }

  #place(address, listen, seeds, near) {
    const place = { address, listenHost: listen.host ?? undefined, seeds }
    if (address !== 'auto') return place
    place.address = this.#route(near, isAny(listen.host) ? isIP(listen.host) : 0)
    // Others cannot reach a loopback address, so the node listens only there.
    if (isLoopback(place.address)) place.listenHost ??= place.address
    return place
  }

  /** The address of the interface that routes to the first routable of these hosts. */
  #route(near, version) {
    const routes = (hosts) => {
      const wanted = hosts.filter(
        (host) => isIP(host) !== 0 && (!version || isIP(host) === version),
      )
      const found = wanted.map((host) => this.#routeTo(host))
      return found.find((address) => address !== null)
    }
    const found = routes(near.map(({ address }) => address))
    if (found !== undefined) return found
    const other = routes(ELSEWHERE) ?? this.#onlyAddress(version) ?? LOOPBACK
    if (near.length > 0) {
      this.#logger.warn(`no interface leads to a seed: chose ${other}; set the option "address"`)
    }
    return other
  }

  /** The address of a machine without a route to the world, unless it has several. */
  #onlyAddress(version) {
    const usable = this.#ownAddresses().filter((host) => !isLoopback(host) && !isIn(LINK, host))
    for (const family of version ? [version] : [4, 6]) {
      const found = usable.filter((host) => isIP(host) === family)
      if (found.length === 1) return found[0]
      if (found.length === 0) continue
      const all = found.join(', ')
      this.#logger.warn(`this machine has several addresses: set the option "address" (${all})`)
      return undefined
    }
    return undefined
  }
}

/** Likely mistakes in the addresses, each as a sentence with a remedy. */
function doubts(options, { address, listenHost, seeds }, own = ownAddresses()) {
  const said = []
  const isElsewhere = (host) => !isLoopback(host) && host !== 'localhost'
  const forwards = options.listen.host !== null || options.listen.port !== null
  if (isAny(address)) {
    said.push(
      `"address" option is ${address}, which no other node can dial: give the address that others reach, or 'auto'`,
    )
  } else if (isLoopback(address) && seeds.some((seed) => isElsewhere(seed.address))) {
    said.push(
      `"address" option is ${address}, which only this machine reaches, but seeds are elsewhere: give another address, or 'auto'`,
    )
  } else if (isIP(address) !== 0 && !isLoopback(address) && !forwards && !own.includes(address)) {
    said.push(
      `"address" option is ${address}, which is no address of this machine: if another machine forwards connections to this one, set "listen"`,
    )
  }
  if (options.address === 'auto' && isPublic(address)) {
    said.push(`"address" option is 'auto', which chose the public address ${address}`)
  }
  if (listenHost !== undefined && isLoopback(listenHost) && isIP(address) && !isLoopback(address)) {
    said.push(
      `"listen.host" option is ${listenHost}: others reach ${address} only if something on this machine forwards it`,
    )
  } else if (listenHost && !isLoopback(listenHost) && isIP(address) && !isAny(address)) {
    if (isIP(listenHost) !== isIP(address)) {
      const version = isIP(listenHost) === 4 ? 'IPv4' : 'IPv6'
      said.push(
        `"listen.host" option is ${listenHost}, ${version} only, but "address" is ${address}`,
      )
    }
  }
  for (const seed of seeds.filter((seed) => isAny(seed.address))) {
    said.push(
      `the seed ${seed.address}:${seed.port} cannot be dialled: give the address of the seed`,
    )
  }
  return said
}

/** Loaded when it is needed: a node without names starts sooner without. */
function dns() {
  return require('node:dns').promises
}

function ownAddresses() {
  const all = Object.values(os.networkInterfaces()).flat()
  return all.map(({ address }) => address)
}

/** Whether a host means "every address". */
function isAny(host) {
  return host === '0.0.0.0' || host === '::'
}

/** Whether a canonical host is an address of this machine alone. */
function isLoopback(host) {
  return isIP(host) !== 0 && (host.startsWith('127.') || host === '::1')
}

function isPublic(host) {
  return isIP(host) !== 0 && !isAny(host) && !isLoopback(host) && !isIn(PRIVATE, host)
}

/** Loads `net.BlockList`, which takes milliseconds: only for addresses that were chosen. */
function isIn(subnets, host) {
  const version = isIP(host)
  if (version === 0 || host.includes('%')) return false
  const list = new net.BlockList()
  for (const [subnet, prefix] of subnets) list.addSubnet(subnet, prefix, `ipv${isIP(subnet)}`)
  return list.check(host, `ipv${version}`)
}

/** The outcome of `promise`, or an error after `ms`. */
async function within(promise, ms) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

module.exports = { Whereabouts, doubts }
