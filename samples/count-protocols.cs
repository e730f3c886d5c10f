#!/usr/bin/env dotnet
// Counts packets by IP protocol at the earliest hook of an interface, and passes them all on.
//   sudo dotnet run samples/count-protocols.cs [INTERFACE] [SECONDS]
#:project ../src/Skep.Bpf.Compiler/Skep.Bpf.Compiler.csproj
#:project ../src/Skep.Packets/Skep.Packets.csproj
#:property PublishAot=false
using System.Net.NetworkInformation;
using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Packets;

var device = args is [var name, ..] ? name : "lo";
var seconds = args is [_, var text, ..] ? double.Parse(text) : 5;
var index = NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == device).GetIPProperties().GetIPv4Properties().Index;

var counter = new ProtocolCounter();
using var program = ProgramLoader.Load(ProgramCompiler.Compile(counter));
using var link = XdpLink.Attach(program, index, XdpMode.Generic);
Console.WriteLine($"counting on {device} for {seconds} s");
await Task.Delay(TimeSpan.FromSeconds(seconds));

for (var protocol = 0u; protocol < 256; protocol++)
{
    if (counter.Packets.TryGet(protocol, out var perCpu) && perCpu.Sum(n => (long)n) is > 0 and var packets)
    {
        Console.WriteLine($"{(IpProtocol)protocol,-10} {packets}");
    }
}

internal sealed unsafe class ProtocolCounter : XdpProgram
{
    public readonly PerCpuArrayMap<ulong> Packets = new(256, "protocols");

    public override XdpAction Run(ref XdpContext context)
    {
        if (IpPacket.Parse(context.Data, context.DataEnd, out var packet) == ParseStatus.Ip)
        {
            ref var count = ref Packets.Find((uint)packet.Protocol);
            if (!Unsafe.IsNullRef(ref count))
            {
                count++;
            }
        }

        return XdpAction.Pass;
    }
}
