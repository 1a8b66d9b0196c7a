'use strict'

const { Broadcast } = require('./lib/broadcast')
const { SmokeError } = require('./lib/errors')
const { localIp } = require('./lib/local-ip')
const { Node } = require('./lib/node')
const { Peer } = require('./lib/peer')
const { Peerlist } = require('./lib/peerlist')

/** Creates a node; `node.start()` brings it into the network. */
function createNode(options) {
  return new Node(options)
}

module.exports = { createNode, localIp, Node, Peer, Peerlist, Broadcast, SmokeError }
