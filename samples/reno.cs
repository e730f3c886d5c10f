#!/usr/bin/env dotnet
// TCP Reno in C#: registers the congestion control "csharp_reno" and sends 64 MB with it over the loopback interface.
//   sudo dotnet run samples/reno.cs
#:project ../src/Skep.Bpf.Compiler/Skep.Bpf.Compiler.csproj
#:property PublishAot=false
#:property AllowUnsafeBlocks=true
using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

var reno = new Reno();
using var table = LoadedStructOps.Load(StructOpsCompiler.Compile(reno, new CompileTarget { KernelBtf = BtfFile.Kernel }));
using var link = table.Attach();
using var listener = new TcpListener(IPAddress.Loopback, 0);
listener.Start();
using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
client.SetRawSocketOption(6, 13, "csharp_reno"u8); // IPPROTO_TCP, TCP_CONGESTION
client.Connect(IPAddress.Loopback, ((IPEndPoint)listener.LocalEndpoint).Port);
using var server = listener.AcceptSocket();
var received = Task.Run(() => { var (total, buffer) = (0L, new byte[1 << 16]); for (int n; (n = server.Receive(buffer)) > 0;) total += n; return total; });
for (var i = 0; i < 1024; i++) client.Send(new byte[1 << 16]);
client.Shutdown(SocketShutdown.Send);
Console.WriteLine($"'{reno.Name}' carried {await received} bytes; {reno.Acknowledgements.Value} acknowledgements asked it for a window");

public sealed unsafe class Reno : TcpCongestionControl
{
    public readonly Global<ulong> Acknowledgements = new("acks");

    public override string Name => "csharp_reno";
    public override uint SsThresh(TcpSock* socket) => Math.Max(socket->SndCwnd >> 1, 2);
    public override uint UndoCwnd(TcpSock* socket) => Math.Max(socket->SndCwnd, socket->PriorCwnd);

    public override void CongestionAvoidance(TcpSock* socket, uint acknowledgement, uint acked)
    {
        Acknowledgements.Value++;
        var isSlowStart = socket->SndCwnd < socket->SndSsthresh;
        if (socket->IsCwndLimited == 0 && (!isSlowStart || socket->SndCwnd >= 2 * socket->MaxPacketsOut)) return;
        if (isSlowStart)
        {
            var window = Math.Min(socket->SndCwnd + acked, socket->SndSsthresh);
            acked -= window - socket->SndCwnd;
            socket->SndCwnd = Math.Min(window, socket->SndCwndClamp);
            if (acked == 0) return;
        }

        // One segment more for each window's worth of acknowledgements.
        var (full, count, grown) = (socket->SndCwnd, socket->SndCwndCnt, socket->SndCwnd);
        if (count >= full) (count, grown) = (0, grown + 1);
        count += acked;
        socket->SndCwndCnt = count % full;
        socket->SndCwnd = Math.Min(grown + (count / full), socket->SndCwndClamp);
    }
}
