using System.Diagnostics;

namespace Skep.KernelTests.Elf;

/// <summary>Compiles C to an object file where clang is installed; a test that needs it is skipped with the reason where it is not.</summary>
internal static class Clang
{
    private static readonly string? s_path = new[] { "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang", "clang-14" }
        .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    public static byte[] Compile(string source)
    {
        Assert.SkipUnless(s_path is not null, "clang is not installed, so there is no object of another compiler to load");
        var folder = Directory.CreateTempSubdirectory("skep-elf-");
        try
        {
            var (input, output) = (Path.Combine(folder.FullName, "in.c"), Path.Combine(folder.FullName, "out.o"));
            File.WriteAllText(input, source);
            using var process = Process.Start(s_path!, ["-w", "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-c", input, "-o", output]);
            process.WaitForExit();
            Assert.Equal(0, process.ExitCode);
            return File.ReadAllBytes(output);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
