#!/usr/bin/env python3
"""Deploys a function through vhived's control API, calls it, and removes it: gRPC from any language.

Usage: control_client.py [--socket PATH] [--proto FILE] IMAGE

Needs python3-grpcio, python3-protobuf and protobuf-compiler, which makes the messages from control.proto here and now;
a program of one's own would keep what protoc has made.
"""
import argparse
import importlib
import pathlib
import subprocess
import sys
import tempfile

import grpc
from google.protobuf import descriptor_pb2

PROTO = pathlib.Path(__file__).parent.parent / "proto/vhive/control/v1/control.proto"


def messages(proto):
    """The module of the messages, made by protoc."""
    with tempfile.TemporaryDirectory() as made:
        subprocess.run(["protoc", f"--proto_path={proto.parent}", f"--python_out={made}", proto.name], check=True)
        sys.path.insert(0, made)
        return importlib.import_module(f"{proto.stem}_pb2")


class Control:
    """The service: control.Deploy(request) and so on, as the proto declares them."""

    def __init__(self, channel, pb):
        for method in pb.DESCRIPTOR.services_by_name["Control"].methods:
            proto = descriptor_pb2.MethodDescriptorProto()
            method.CopyToProto(proto)
            kind = [("stream" if streams else "unary") for streams in (proto.client_streaming, proto.server_streaming)]
            call = getattr(channel, "_".join(kind))(
                f"/vhive.control.v1.Control/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=getattr(pb, method.output_type.name).FromString)
            setattr(self, method.name, call)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--socket", default="/run/vhive/vhived.sock")
    parser.add_argument("--proto", type=pathlib.Path, default=PROTO)
    parser.add_argument("image", help='with a folder as an absolute path: "oci:/images/hello"')
    args = parser.parse_args()

    pb = messages(args.proto)
    with grpc.insecure_channel(f"unix:{args.socket}", [("grpc.default_authority", "localhost")]) as channel:
        control = Control(channel, pb)
        print("vhived", control.Version(pb.VersionRequest(), timeout=5).version)
        spec = pb.FunctionSpec(name="example", image=args.image, max=2)
        for step in control.Deploy(pb.DeployRequest(spec=spec)):
            print(step.progress.what if step.HasField("progress") else f"listens at {step.function.address}")
        try:
            reply = control.Invoke(pb.InvokeRequest(function="example"), timeout=120)
            print("cold" if reply.cold else "warm", reply.status, reply.body.decode(errors="replace"))
        finally:
            control.Remove(pb.RemoveRequest(name="example"))


if __name__ == "__main__":
    main()
