#!/usr/bin/env dotnet
// Prints every TCP connection that a process of this host opens: who, and where to.
//   sudo dotnet run samples/who-connects.cs [SECONDS]
#:project ../src/Skep.Bpf.Compiler/Skep.Bpf.Compiler.csproj
#:property PublishAot=false
#:property AllowUnsafeBlocks=true
using System.Buffers.Binary;
using System.Net;
using System.Text;
using Skep.Bpf.Btf;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

var seconds = args is [var text, ..] ? double.Parse(text) : 5;
var watch = new ConnectWatch();
var target = new CompileTarget { KernelBtf = BtfFile.Kernel };
using var program = ProgramLoader.Load(ProgramCompiler.Compile(watch, target));
using var link = RawTracepointLink.Attach(program);
using var reader = new RingBufferReader<Opened>(watch.Events);
using var end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
Console.WriteLine($"watching connections over IPv4 for {seconds} s");
try
{
    await reader.DrainAsync((in Opened o) => Console.WriteLine(
        $"{Encoding.UTF8.GetString(o.Comm).TrimEnd('\0'),-16} {o.Process,7} -> {new IPAddress(o.Address)}:{BinaryPrimitives.ReverseEndianness((ushort)o.Port)}"), end.Token);
}
catch (OperationCanceledException) { }

internal struct Opened { public uint Process, Address, Port; public Name Comm; }

[System.Runtime.CompilerServices.InlineArray(16)]
internal struct Name { private byte _first; }

[KernelStruct("sock")]
public struct Sock
{
    [KernelField("__sk_common.skc_daddr")] public uint Address;
    [KernelField("__sk_common.skc_dport")] public ushort Port;
}

internal sealed unsafe class ConnectWatch : RawTracepointProgram
{
    public readonly RingBuffer<Opened> Events = new(1 << 16, "connects");
    public override string Tracepoint => "inet_sock_set_state";

    // Arguments: the socket, its old state, its new state (2 is SYN_SENT). The state changes in the process that connects.
    // The IPv4 address is set for IPv4-mapped connections of IPv6 sockets too, and zero for IPv6.
    public override void Run(ref RawTracepointContext context)
    {
        var socket = context.Pointer<Sock>(0);
        if (context.Value(2) != 2 || socket->Address == 0) return;
        var opened = new Opened { Process = (uint)(Helper.GetCurrentPidTgid() >> 32), Address = socket->Address, Port = socket->Port };
        Helper.GetCurrentComm((byte*)&opened.Comm, 16);
        Events.Output(in opened);
    }
}
