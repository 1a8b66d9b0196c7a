'use strict'

const { Broadcast } = require('./lib/broadcast')
const { optionsFromEnv } = require('./lib/env')
const { SmokeError } = require('./lib/errors')
const { localIp } = require('./lib/local-ip')
const { Node } = require('./lib/node')
const { Peer } = require('./lib/peer')
const { Peerlist } = require('./lib/peerlist')

/** Creates a node; `node.start()` brings it into the network. */
function createNode(options) {
  return new Node(options)
}

// Written out, so that programs that are ES modules find the names.
module.exports = {
  createNode,
  localIp,
  optionsFromEnv,
  Node,
  Peer,
  Peerlist,
  Broadcast,
  SmokeError,
}
