'use strict'

const { localIp } = require('./lib/local-ip')
const { Node } = require('./lib/node')

/** Creates a node; `node.start()` brings it into the network. */
function createNode(options) {
  return new Node(options)
}

module.exports = { createNode, localIp }
