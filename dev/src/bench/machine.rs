//! What is particular to Linux: one CPU for all, and what a process has used.

use anyhow::Result;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::time::Duration;

    use anyhow::{Context, Result, ensure};
    use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity};

    /// Keeps this process, and those that it will start, on one CPU: across two, a wake-up costs more than an empty call.
    pub(in super::super) fn pin_to_one_cpu() -> Result<()> {
        let permitted = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| permitted.is_set(*cpu)).context("no CPU is permitted")?;
        let mut one = CpuSet::new();
        one.set(last);
        for thread in fs::read_dir("/proc/self/task")? {
            let id = thread?.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
            sched_setaffinity(Some(id.context("a thread has no id")?), &one)?;
        }
        Ok(())
    }

    /// The CPU time of a process so far, of all its threads.
    #[expect(unsafe_code, reason = "there is no safe wrapper of the clock of another process")]
    pub(in super::super) fn cpu_time(process_id: u32) -> Result<Duration> {
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both write to the variable that they are given, and to nothing else.
        let failed = unsafe {
            libc::clock_getcpuclockid(process_id.cast_signed(), &raw mut clock) != 0 || libc::clock_gettime(clock, &raw mut time) != 0
        };
        ensure!(!failed, "the CPU time of process {process_id} cannot be read");
        Ok(Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec)?))
    }

    /// A thread of this process.
    pub(in super::super) struct Thread(Pid);

    /// The thread that calls it.
    #[expect(clippy::unnecessary_wraps, reason = "there is none elsewhere")]
    pub(in super::super) fn this_thread() -> Option<Thread> {
        Some(Thread(gettid()))
    }

    impl Thread {
        /// The CPU time of the thread so far.
        pub(in super::super) fn cpu_time(&self) -> Result<Duration> {
            let told = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.0.as_raw_nonzero()))?;
            let nanoseconds = told.split(' ').next().context("the scheduler says nothing of the thread")?;
            Ok(Duration::from_nanos(nanoseconds.parse()?))
        }
    }

    /// The time that all CPUs together were busy since the machine started.
    pub(in super::super) fn busy_time() -> Result<Duration> {
        let told = fs::read_to_string("/proc/stat")?;
        let times = told.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat begins with another line")?;
        let times: Vec<u64> = times.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        // In user mode, nice, system, idle, waiting for input and output, interrupts, soft interrupts: each in hundredths of a second.
        let busy = [0, 1, 2, 5, 6].iter().filter_map(|index| times.get(*index)).sum::<u64>();
        Ok(Duration::from_millis(busy * 10))
    }

    /// The largest memory that a process has occupied, in KiB.
    pub(in super::super) fn peak_memory_kib(process_id: u32) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{process_id}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        Ok(peak.context("the process has no peak of memory")?.parse()?)
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{Thread, busy_time, cpu_time, peak_memory_kib, pin_to_one_cpu, this_thread};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::time::Duration;

    use anyhow::{Result, bail};

    pub(in super::super) fn pin_to_one_cpu() -> Result<()> {
        bail!("cargo dev bench needs Linux: it keeps all processes on one CPU and reads what they use from /proc")
    }

    pub(in super::super) fn cpu_time(_: u32) -> Result<Duration> {
        bail!("the CPU time of a process is read on Linux only")
    }

    pub(in super::super) enum Thread {}

    pub(in super::super) fn this_thread() -> Option<Thread> {
        None
    }

    impl Thread {
        pub(in super::super) fn cpu_time(&self) -> Result<Duration> {
            match *self {}
        }
    }

    pub(in super::super) fn busy_time() -> Result<Duration> {
        bail!("what the CPUs did is read on Linux only")
    }

    pub(in super::super) fn peak_memory_kib(_: u32) -> Result<u64> {
        bail!("the memory of a process is read on Linux only")
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{Thread, busy_time, cpu_time, peak_memory_kib, pin_to_one_cpu, this_thread};

/// The shape of this machine, such as `2 CPUs, x86_64, linux`. After [`pin_to_one_cpu`], one CPU is left to see.
pub(super) fn shape() -> Result<String> {
    let cpus = std::thread::available_parallelism()?;
    Ok(format!("{cpus} CPUs, {}, {}", std::env::consts::ARCH, std::env::consts::OS))
}
