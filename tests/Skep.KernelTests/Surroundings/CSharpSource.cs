using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.KernelTests.Surroundings;

/// <summary>C# source that a test writes, compiled with the compiler of the SDK that builds the tests, warnings as errors.</summary>
internal static class CSharpSource
{
    /// <summary>Compiles and loads; fails with the compiler's words.</summary>
    public static Assembly Compile(params string[] sources)
    {
        var folder = Directory.CreateTempSubdirectory("skep-source-");
        try
        {
            var runtime = RuntimeEnvironment.GetRuntimeDirectory();
            var library = Path.Combine(folder.FullName, $"Generated{Guid.NewGuid():N}.dll");
            List<string> arguments = [$"-out:{library}", "-target:library", "-unsafe", "-warnaserror", "-nologo", "-debug:embedded", "-deterministic"];
            foreach (var reference in Directory.EnumerateFiles(runtime, "System*.dll").Append(typeof(KernelStructAttribute).Assembly.Location).Append(typeof(Bpf.Compiler.ProgramCompiler).Assembly.Location))
            {
                if (IsManaged(reference))
                {
                    arguments.Add($"-reference:{reference}");
                }
            }

            for (var i = 0; i < sources.Length; i++)
            {
                var file = Path.Combine(folder.FullName, $"Source{i}.cs");
                File.WriteAllText(file, sources[i]);
                arguments.Add(file);
            }

            var response = Path.Combine(folder.FullName, "arguments.rsp");
            File.WriteAllLines(response, arguments.Select(a => $"\"{a}\""));
            using var process = Process.Start(new ProcessStartInfo("dotnet", ["exec", Compiler(), "-noconfig", $"@{response}"]) { RedirectStandardOutput = true })!;
            var words = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, string.Join('\n', words.Split('\n').Take(30)));
            return Assembly.LoadFile(library);
        }
        finally
        {
            // The loaded library stays mapped after its file is gone.
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The compiler of the SDK beside the runtime that runs the tests.</summary>
    private static string Compiler()
    {
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        return Directory.EnumerateFiles(Path.Combine(root, "sdk"), "csc.dll", SearchOption.AllDirectories).OrderDescending().First();
    }

    private static bool IsManaged(string path)
    {
        try
        {
            _ = AssemblyName.GetAssemblyName(path);
            return true;
        }
        catch (BadImageFormatException)
        {
            return false;
        }
    }
}
