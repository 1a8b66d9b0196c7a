'use strict'

const net = require('node:net')

/**
 * Stands between two nodes, and can break their connections in the middle of a frame: passes on
 * part of what comes next and resets both sides.
 */
class FlakyProxy {
  static async before(target) {
    const proxy = new FlakyProxy()
    proxy.pairs = new Set()
    proxy.resets = 0
    proxy.isCut = false
    proxy.server = net.createServer((inner) => proxy.#join(inner, target))
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve))
    proxy.port = proxy.server.address().port
    return proxy
  }

  #join(inner, target) {
    if (this.isCut) return inner.resetAndDestroy()
    const outer = net.connect({ port: target.port, host: target.address })
    const pair = { inner, outer, isDoomed: false, isDead: false }
    this.pairs.add(pair)
    const end = () => {
      this.pairs.delete(pair)
      inner.destroy()
      outer.destroy()
    }
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ]) {
      from.on('error', () => {})
      from.on('close', end)
      from.on('data', (chunk) => {
        if (pair.isDead) return
        if (!pair.isDoomed) {
          if (!to.write(chunk)) {
            from.pause()
            to.once('drain', () => from.resume())
          }
          return
        }
        pair.isDead = true
        this.resets++
        to.write(chunk.subarray(0, Math.ceil(chunk.length / 2)))
        // Only after the half has left: a reset would throw it away.
        setTimeout(() => {
          inner.resetAndDestroy()
          outer.resetAndDestroy()
        }, 5)
      })
    }
  }

  /** The next thing that is said on each connection is its last. */
  breakNext() {
    for (const pair of this.pairs) pair.isDoomed = true
  }

  close() {
    for (const { inner, outer } of this.pairs) {
      inner.destroy()
      outer.destroy()
    }
    return new Promise((resolve) => this.server.close(resolve))
  }
}

module.exports = { FlakyProxy }
