'use strict'

// All of lib. In the published package this file is all there is: scripts/pack.js bundles it, since
// one file loads in half the time of many. Names of variables here would have the bundler rename
// classes of the same name.

/** Creates a node; `node.start()` brings it into the network. */
exports.createNode = function createNode(options) {
  return new exports.Node(options)
}
exports.localIp = require('./local-ip').localIp
exports.optionsFromEnv = require('./env').optionsFromEnv
exports.Node = require('./node').Node
exports.Peer = require('./peer').Peer
exports.Peerlist = require('./peerlist').Peerlist
exports.Broadcast = require('./broadcast').Broadcast
exports.SmokeError = require('./errors').SmokeError
