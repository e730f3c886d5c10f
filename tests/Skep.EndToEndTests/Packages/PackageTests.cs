using System.Net;
using System.Net.Sockets;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Packages;

/// <summary>The packages and templates as their users get them: packed, installed for a user of their own, built against a local source, and run.</summary>
public sealed class PackageTests(PackageTests.Workplace workplace) : IClassFixture<PackageTests.Workplace>
{
    private static readonly TimeSpan s_step = TimeSpan.FromMinutes(2);

    [Fact]
    public void Every_package_was_made_and_the_analyzer_is_in_one()
    {
        string[] expected = ["Skep.Bpf", "Skep.Bpf.Compiler", "Skep.Bpf.Twin", "Skep.Packets", "Skep.Templates"];
        Assert.Equal(expected, Directory.GetFiles(workplace.Packages, "*.nupkg").Select(f => Path.GetFileName(f).Replace(".0.1.0.nupkg", "")).Order(StringComparer.Ordinal));
        using var library = System.IO.Compression.ZipFile.OpenRead(Path.Combine(workplace.Packages, "Skep.Bpf.0.1.0.nupkg"));
        Assert.Contains(library.Entries, e => e.FullName == "analyzers/dotnet/cs/Skep.Bpf.Analyzers.dll");
    }

    [KernelFact]
    public async Task A_probe_of_the_template_runs_as_one_file_against_the_packages()
    {
        await workplace.RunAsync(["new", "skep-probe", "-n", "probe", "-o", "watch"]);
        Assert.True(File.Exists(workplace.PathOf("watch/probe.cs")), "no probe.cs");
        using var probe = workplace.Start(["run", "probe.cs", "6"], "watch");
        await probe.SeesAsync("watching for 6 s", s_step);
        using var witness = ChildProcess.Start("uname", []);
        await witness.EndsAsync(s_step);

        await probe.SeesAsync("uname", s_step);
        Assert.Equal(0, await probe.EndsAsync(s_step));
    }

    [Fact]
    public async Task A_mistake_in_a_kernel_method_is_reported_by_the_analyzer_of_the_package()
    {
        await File.WriteAllTextAsync(workplace.PathOf("mistake.cs"), """
            #:package Skep.Bpf.Compiler@0.1.0
            #:property PublishAot=false
            using Skep.Bpf.Programming;
            System.Console.WriteLine(new Mistake());
            internal sealed class Mistake : XdpProgram
            {
                public override XdpAction Run(ref XdpContext context) => new object() is null ? XdpAction.Drop : XdpAction.Pass;
            }
            """);

        Assert.Contains("mistake.cs(7,62): warning SKEP0001", await workplace.RunAsync(["build", "mistake.cs"]), StringComparison.Ordinal);
    }

    [KernelFact]
    public async Task A_program_of_the_template_builds_passes_its_test_in_the_process_and_drops_packets_in_the_kernel()
    {
        await workplace.RunAsync(["new", "skep-program", "-o", "Guard"]);
        await workplace.RunAsync(["build", "Guard/Guard.slnx", "-v", "quiet", "--nologo", "-p:UseSharedCompilation=true"]);
        Assert.Contains("Failed: 0, Skipped: 0", await workplace.RunAsync(["exec", "Guard/Guard.Tests/bin/Debug/net10.0/Guard.Tests.dll", "-noColor"]), StringComparison.Ordinal);

        using var receiver = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        var port = ((IPEndPoint)receiver.Client.LocalEndPoint!).Port;
        using var guard = workplace.Start(["exec", "Guard/Guard/bin/Debug/net10.0/Guard.dll", "lo", $"{port}", "4"]);
        await guard.SeesAsync("dropping UDP", s_step);
        for (var i = 0; i < 7; i++)
        {
            receiver.Send([1], 1, (IPEndPoint)receiver.Client.LocalEndPoint!);
        }

        Assert.Equal(0, await guard.EndsAsync(s_step));
        Assert.Contains("\n7 packets dropped", guard.Output, StringComparison.Ordinal);
        Assert.Equal(0, receiver.Available);
    }

    /// <summary>A user who has nothing but a folder of packages.</summary>
    public sealed class Workplace : IAsyncLifetime
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("skep-packages-").FullName;

        public string Packages => PathOf("source");

        public string PathOf(string name) => Path.Combine(_folder, name);

        public async ValueTask InitializeAsync()
        {
            // What the tests restored already, xunit among it, need not come once more; ours must come from where they were just made.
            var shared = Environment.GetEnvironmentVariable("NUGET_PACKAGES") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
            await File.WriteAllTextAsync(PathOf("nuget.config"), $"""
                <configuration>
                  <config><add key="globalPackagesFolder" value="restored" /></config>
                  <packageSources><add key="skep" value="source" /></packageSources>
                  <packageSourceMapping>
                    <packageSource key="skep"><package pattern="Skep.*" /></packageSource>
                    <packageSource key="nuget.org"><package pattern="*" /></packageSource>
                  </packageSourceMapping>
                  <fallbackPackageFolders><add key="shared" value="{shared}" /></fallbackPackageFolders>
                </configuration>
                """);
            using var pack = ChildProcess.Start("dotnet", ["pack", "skep.slnx", "--no-build", "-c", Repository.Configuration, "-o", Packages, "-v", "quiet", "-nodeReuse:false"]);
            Assert.True(await pack.EndsAsync(s_step) == 0, pack.Output);
            await RunAsync(["new", "install", Path.Combine(Packages, "Skep.Templates.0.1.0.nupkg")]);
        }

        public ValueTask DisposeAsync()
        {
            Directory.Delete(_folder, recursive: true);
            return ValueTask.CompletedTask;
        }

        /// <summary>Starts <c>dotnet</c> with a home of its own.</summary>
        internal ChildProcess Start(string[] arguments, string folder = "") => ChildProcess.Start(
            "env",
            [
                "-u", "NUGET_PACKAGES", $"DOTNET_CLI_HOME={PathOf("home")}", $"HOME={PathOf("home")}", $"XDG_DATA_HOME={PathOf("home/share")}", "DOTNET_GENERATE_ASPNET_CERTIFICATE=false",
                "MSBUILDDISABLENODEREUSE=1", "dotnet", .. arguments,
            ],
            PathOf(folder));

        public async Task<string> RunAsync(string[] arguments)
        {
            using var process = Start(arguments);
            var code = await process.EndsAsync(s_step);
            Assert.True(code == 0, $"dotnet {string.Join(' ', arguments)} in {_folder}: exit code {code}\n{process.Output}");
            return process.Output;
        }
    }
}
