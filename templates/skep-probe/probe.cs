#!/usr/bin/env dotnet
// Prints every program that is started on this host.
//   sudo dotnet run probe.cs [SECONDS]
#:package Skep.Bpf.Compiler@0.1.0
#:property PublishAot=false
#:property AllowUnsafeBlocks=true
using System.Runtime.CompilerServices;
using System.Text;
using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

var seconds = args is [var text, ..] ? double.Parse(text) : 10;
var watch = new StartWatch();
using var program = ProgramLoader.Load(ProgramCompiler.Compile(watch));
using var link = RawTracepointLink.Attach(program);
using var reader = new RingBufferReader<Started>(watch.Events);
using var end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
Console.WriteLine($"watching for {seconds} s");
try
{
    await reader.DrainAsync((in Started s) => Console.WriteLine($"{s.Process,7} {Encoding.UTF8.GetString(s.Name).TrimEnd('\0')}"), end.Token);
}
catch (OperationCanceledException)
{
}

/// <summary>What the kernel half tells the other: declared once, used on both sides.</summary>
internal struct Started
{
    public uint Process;
    public Name Name;
}

[InlineArray(16)]
internal struct Name
{
    private byte _first;
}

/// <summary>The kernel half: an object whose method runs in the kernel each time a process becomes another program.</summary>
internal sealed unsafe class StartWatch : RawTracepointProgram
{
    public readonly RingBuffer<Started> Events = new(1 << 16, "starts");

    public override string Tracepoint => "sched_process_exec";

    public override void Run(ref RawTracepointContext context)
    {
        var started = new Started { Process = (uint)(Helper.GetCurrentPidTgid() >> 32) };
        Helper.GetCurrentComm((byte*)&started.Name, 16);
        Events.Output(in started);
    }
}
