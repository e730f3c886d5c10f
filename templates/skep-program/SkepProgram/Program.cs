using System.Net.NetworkInformation;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;
using SkepProgram;

if (args is not [var device, var portText, ..] || !ushort.TryParse(portText, out var port))
{
    Console.Error.WriteLine("usage: SkepProgram INTERFACE PORT [SECONDS]");
    return 2;
}

var seconds = args is [_, _, var text, ..] ? double.Parse(text) : 10;
var index = NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == device).GetIPProperties().GetIPv4Properties().Index;

var drop = new DropPort(port);
using var program = ProgramLoader.Load(ProgramCompiler.Compile(drop));
using var link = XdpLink.Attach(program, index);
Console.WriteLine($"dropping UDP to port {port} of {device} for {seconds} s ({link.Mode})");
await Task.Delay(TimeSpan.FromSeconds(seconds));

drop.Dropped.TryGet(0, out ulong[] perCpu);
Console.WriteLine($"{perCpu.Sum(n => (long)n)} packets dropped");
return 0;
