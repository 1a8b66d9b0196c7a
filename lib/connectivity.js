'use strict'

/** Whether a node has peers, and which of its seeds are in another part of the network. */
class Connectivity {
  #node
  #beyond = new Set()
  #isConnectTold = false

  constructor(node) {
    this.#node = node
  }

  /** A peer was added or removed. Returns functions that emit the resulting events. */
  peersChanged(event, peer) {
    const node = this.#node
    const hasPeers = this.#update()
    if (event === 'add') {
      return [
        () => {
          if (!hasPeers || this.#isConnectTold) return
          this.#isConnectTold = true
          node.emit('connect')
        },
        () => peer.closed || node.emit('new peer', peer),
      ]
    }
    return [
      () => {
        if (node.peers.list.length > 0 || !this.#isConnectTold) return
        this.#isConnectTold = false
        node.emit('disconnect')
      },
    ]
  }

  /** The seed is in another part of the network. */
  island({ address, port }) {
    this.#beyond.add(`${address}:${port}`)
    this.#update()
    this.#node.emit('island', { address, port })
  }

  /** The seed is in the same part of the network again. */
  mainland({ address, port }) {
    this.#beyond.delete(`${address}:${port}`)
    this.#update()
    this.#node.emit('island resolved', { address, port })
  }

  #update() {
    const hasPeers = this.#node.peers.list.length > 0
    if (!hasPeers) this.#beyond.clear()
    this.#node.connected = hasPeers && this.#beyond.size === 0
    return hasPeers
  }
}

module.exports = { Connectivity }
